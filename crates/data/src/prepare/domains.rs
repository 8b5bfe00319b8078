//! Rows of several domains: which of them train with their labels, which are known by their features alone, and which
//! measure. Source rows train; rows of the target domain are what the model is for.

use super::split::{self, check_classes, stratified};
use super::steering::{Steering, texts};
use super::{Content, Finding, FindingKind, Part, PrepareSettings, Severity};
use crate::dataset::Dataset;
use lepton_core::{Error, ErrorCode, Result, Seed, Split, nearest};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which rows are of the target domain, and how many of their labels may be used. Set by `[adapt]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainSettings {
    /// The column that says where a row comes from. It is no feature.
    pub column: String,
    /// Its value for rows of the target domain.
    pub target: String,
    /// Its values for source rows; empty takes all others. Rows of none of them are left out.
    pub source: Vec<String>,
    /// Target rows that train with their labels.
    pub labels: usize,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    Source,
    Target,
    Other,
}

/// The domain of each row by part, and the columns' words for them.
pub(super) struct Domains<'a> {
    settings: &'a DomainSettings,
    of: BTreeMap<Split, Vec<Domain>>,
}

/// How target rows of the training part are used, in rows of the source's training part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TargetRows {
    /// All of them, ascending: their features are known.
    pub(super) known: Vec<usize>,
    /// How many of them train with their labels. They are the last rows of the training part.
    pub(super) labelled: usize,
}

impl<'a> Domains<'a> {
    /// Reads the column.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] with the nearest value for a domain that no row is of; [`ErrorCode::BadData`] with the row
    /// for a missing value.
    pub(super) fn read(dataset: &Dataset, settings: &'a DomainSettings) -> Result<Domains<'a>> {
        let mut names = BTreeMap::new();
        for &split in dataset.parts.keys() {
            names.insert(split, texts(dataset, split, &settings.column, "domain")?);
        }
        let known: BTreeSet<&str> = names.values().flatten().map(String::as_str).collect();
        let wanted = std::iter::once((&settings.target, "adapt.target"))
            .chain(settings.source.iter().map(|source| (source, "adapt.source")));
        for (value, key) in wanted {
            if !known.contains(value.as_str()) {
                let message = format!("no row of column \"{}\" is \"{value}\"", settings.column);
                let error = Error::new(ErrorCode::NotFound, message).at_key(key).at_column(&settings.column);
                return Err(match nearest(value, known.iter().copied()) {
                    Some(near) => error.fix(format!("did you mean \"{near}\"?")),
                    None => error.fix(format!("its values are: {}", list(&known))),
                });
            }
        }
        if settings.source.contains(&settings.target) {
            let message = format!("\"{}\" is both the source and the target", settings.target);
            return Err(Error::new(ErrorCode::Config, message).at_key("adapt.source"));
        }
        let domain = |name: &String| match name {
            name if *name == settings.target => Domain::Target,
            name if settings.source.is_empty() || settings.source.contains(name) => Domain::Source,
            _ => Domain::Other,
        };
        let of = names.iter().map(|(split, names)| (*split, names.iter().map(domain).collect())).collect();
        Ok(Domains { settings, of })
    }

    /// Whether a row may be without a label: one of the target domain in the training part may.
    pub(super) fn may_lack_label(&self, split: Split, row: usize) -> bool {
        split == Split::Train && self.is(split, row, Domain::Target)
    }

    fn is(&self, split: Split, row: usize, domain: Domain) -> bool {
        self.of.get(&split).and_then(|domains| domains.get(row)) == Some(&domain)
    }

    fn rows(&self, part: &Part, domain: Domain) -> Vec<usize> {
        part.rows.iter().copied().filter(|&row| self.is(part.origin, row, domain)).collect()
    }

    /// The parts. Test rows are of the target domain. Validation rows are of the target domain where some of its labels
    /// may be used, else of the source: labels that nobody is to have must not choose between epochs either. The training
    /// part has the source rows and, behind them, the target rows whose labels may be used.
    ///
    /// # Errors
    /// [`ErrorCode::BadData`] for a domain without rows, or too few to cut a part from; [`ErrorCode::Config`] for more
    /// labels than there are.
    pub(super) fn parts(
        &self,
        mut given: BTreeMap<Split, Part>,
        content: &Content,
        target: &str,
        settings: &PrepareSettings,
        seed: Seed,
    ) -> Result<(BTreeMap<Split, Part>, TargetRows)> {
        let train = given.remove(&Split::Train).ok_or_else(|| Error::internal("no training part"))?;
        let labels = &content.labels[&Split::Train];
        let strata = content.strata.as_ref().unwrap_or(labels);
        let (mut source, mut known) = (self.rows(&train, Domain::Source), self.rows(&train, Domain::Target));
        for (rows, what) in [(&source, "a source domain"), (&known, "the target domain")] {
            if rows.is_empty() {
                let message = format!("no training row is of {what}, so there is nothing to adapt");
                return Err(Error::new(ErrorCode::BadData, message).at_key("adapt").at_column(&self.settings.column));
            }
        }
        let has_label = |row: &usize| !labels[*row].is_empty();
        let cut = |rows: &[usize], fraction: f64, split: Split| -> Result<BTreeSet<usize>> {
            split::cut(rows, strata, &Steering::default(), fraction, split, settings, seed)
        };
        let mut parts = BTreeMap::new();
        let test = match given.remove(&Split::Test) {
            Some(part) => Part { rows: self.some_of(&part, Domain::Target, Split::Test)?, ..part },
            None => {
                let measured: Vec<usize> = known.iter().copied().filter(has_label).collect();
                let rows = cut(&measured, settings.test_fraction, Split::Test).map_err(|error| self.placed(error))?;
                known.retain(|row| !rows.contains(row));
                Part { origin: Split::Train, rows: rows.into_iter().collect() }
            }
        };
        parts.insert(Split::Test, test);
        let choosing = if self.settings.labels > 0 { Domain::Target } else { Domain::Source };
        let valid = match given.remove(&Split::Valid) {
            Some(part) => Part { rows: self.some_of(&part, choosing, Split::Valid)?, ..part },
            None => {
                let from = if choosing == Domain::Target { &mut known } else { &mut source };
                let usable: Vec<usize> = from.iter().copied().filter(has_label).collect();
                let rows = cut(&usable, settings.valid_fraction, Split::Valid).map_err(|error| self.placed(error))?;
                from.retain(|row| !rows.contains(row));
                Part { origin: Split::Train, rows: rows.into_iter().collect() }
            }
        };
        parts.insert(Split::Valid, valid);
        let labelled = self.labelled(&known, labels, strata, seed)?;
        let rows = [source, labelled.clone()].concat();
        if content.strata.is_none() {
            check_classes(&rows, labels, target)?;
        }
        parts.insert(Split::Train, Part { origin: Split::Train, rows });
        Ok((parts, TargetRows { known, labelled: labelled.len() }))
    }

    /// The rows of a part that the source gives, of one domain.
    fn some_of(&self, part: &Part, domain: Domain, split: Split) -> Result<Vec<usize>> {
        let rows = self.rows(part, domain);
        if rows.is_empty() {
            let what = if domain == Domain::Target { "the target domain" } else { "a source domain" };
            return Err(self.placed(Error::new(ErrorCode::BadData, format!("no {split} row is of {what}"))));
        }
        Ok(rows)
    }

    /// The target rows that train with their labels, every class in proportion, ascending.
    fn labelled(&self, known: &[usize], labels: &[String], strata: &[String], seed: Seed) -> Result<Vec<usize>> {
        let wanted = self.settings.labels;
        let usable: Vec<usize> = known.iter().copied().filter(|row| !labels[*row].is_empty()).collect();
        if wanted > usable.len() {
            let message = format!(
                "{wanted} labels are to be used, but {} training rows of the target domain have one",
                usable.len()
            );
            return Err(Error::new(ErrorCode::Config, message).at_key("adapt.labels"));
        }
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let fraction = wanted as f64 / usable.len() as f64;
        let mut picked = stratified(&usable, strata, fraction, Split::Train, seed);
        // Every class keeps a row there, which can leave a few too few; the rest is drawn from all.
        let mut rest: Vec<usize> = usable.iter().copied().filter(|row| !picked.contains(row)).collect();
        seed.shuffle("domain labels", &[], &mut rest);
        picked.extend(rest.into_iter().take(wanted.saturating_sub(picked.len())));
        Ok(picked.into_iter().take(wanted).collect())
    }

    /// A note about rows that are left out because their domain is neither.
    pub(super) fn finding(&self) -> Option<Finding> {
        let others = self.of.values().flatten().filter(|domain| **domain == Domain::Other).count();
        let message = format!("{others} rows are of no domain that [adapt] names, and were left out");
        let evidence = [self.settings.column.clone()];
        (others > 0).then(|| Finding::new(FindingKind::OtherDomains, Severity::Note, others, message, evidence))
    }

    fn placed(&self, error: Error) -> Error {
        error.at_key("adapt.target").at_column(&self.settings.column)
    }
}

fn list(values: &BTreeSet<&str>) -> String {
    const MOST: usize = 10;
    let shown: Vec<&str> = values.iter().copied().take(MOST).collect();
    let more = if values.len() > MOST { format!(" and {} more", values.len() - MOST) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
