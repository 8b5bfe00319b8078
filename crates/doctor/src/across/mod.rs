//! What no single column tells: rows held against rows (`near`), columns against columns. It looks at what the pass
//! has kept for it, the beginning of the table and an even sample, and says in each finding which it was.

mod correlation;
mod features;
mod forest;
mod leakage;
mod near;
mod order;
mod outliers;
mod rows;
mod texts;

pub use correlation::{Correlation, CorrelationMethod, Correlations, correlations};

use crate::checks::CheckOptions;
use crate::finding::Finding;
use crate::profile::Profile;
use lepton_core::{Cancel, Error, Result};

/// Findings across rows and columns of a table that was profiled with
/// [`crate::profile::ProfileOptions::beginning_bytes`] above 0, the gravest first.
///
/// # Errors
/// [`lepton_core::ErrorCode::Cancelled`].
pub fn check_across(
    profile: &Profile,
    options: &CheckOptions,
    threads: usize,
    cancel: &Cancel,
) -> Result<Vec<Finding>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|source| Error::internal(format!("no threads: {source}")))?;
    pool.install(|| {
        let mut findings = Vec::new();
        rows::check(profile, options, cancel, &mut findings)?;
        let features = features::Feature::of(profile);
        outliers::check(profile, options, &features, cancel, &mut findings)?;
        leakage::check(profile, options, &features, &mut findings);
        order::check(profile, &mut findings);
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(findings)
    })
}
