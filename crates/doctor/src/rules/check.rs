//! The chunks of a table under its rules, joined in the order of the rows; the verdicts.

use super::cells::{SHOWN, Tally, look};
use super::rule::{Rule, Test};
use super::settings::RuleKind;
use crate::Severity;
use crate::profile::{ProfileOptions, RowHashes};
use lepton_core::{Error, ErrorCode, Result, nearest, thousands};
use lepton_data::scan::{Chunk, Position, Scan, Work};
use lepton_data::sql::{SqlTable, SqlWork};
use lepton_data::{SourceFile, moment_text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;

/// How a table keeps its rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Rows of the table.
    pub rows: u64,
    /// Each rule, in the order in which they were given.
    pub rules: Vec<RuleOutcome>,
}

impl CheckReport {
    /// Rules that are broken and matter as much as an error.
    pub fn failed(&self) -> impl Iterator<Item = &RuleOutcome> {
        self.rules.iter().filter(|rule| rule.verdict == Verdict::Failed)
    }
}

/// How a table keeps one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleOutcome {
    /// The kind of rule.
    pub rule: RuleKind,
    /// The columns that it is about; none for `row_count`.
    pub columns: Vec<String>,
    /// What was expected, in words.
    pub expected: String,
    /// How much it matters.
    pub severity: Severity,
    /// Values (of `unique`: rows) that were looked at; 1 for a rule about the whole table. Missing values are looked
    /// at by `not_null` alone.
    pub checked: u64,
    /// How many of them break it. Of `unique`: rows that repeat an earlier one.
    pub failed: u64,
    /// The first of these.
    pub failures: Vec<Failure>,
    /// What a rule about the whole table saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// What follows.
    pub verdict: Verdict,
}

impl RuleOutcome {
    /// The columns as text; `-` for the whole table.
    pub fn column_text(&self) -> String {
        if self.columns.is_empty() { "-".to_owned() } else { self.columns.join(" + ") }
    }

    /// The first failures, or what was observed: `row 3: "x", row 9: missing`.
    pub fn evidence_text(&self) -> String {
        if let Some(observed) = &self.observed {
            return observed.clone();
        }
        let shown: Vec<String> = self.failures.iter().map(Failure::text).collect();
        let more = if self.failed > shown.len() as u64 && !shown.is_empty() { ", ..." } else { "" };
        format!("{}{more}", shown.join(", "))
    }
}

/// A row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Of a dataset: its part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The row, from 1; the first one under the header.
    pub row: u64,
    /// Its value, the first 120 bytes of it; none where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of `unique`: the row that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// Of `unique` in a dataset: the part of that row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_part: Option<String>,
}

impl Failure {
    fn text(&self) -> String {
        let named = |part: &Option<String>| part.as_ref().map_or_else(String::new, |part| format!("{part} "));
        let part = named(&self.part);
        match (&self.value, self.repeats) {
            (_, Some(first)) => format!("{part}row {} repeats {}row {first}", self.row, named(&self.repeats_part)),
            (Some(value), None) => format!("{part}row {}: {value:?}", self.row),
            (None, None) => format!("{part}row {}: missing", self.row),
        }
    }
}

/// What follows from a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is kept.
    Passed,
    /// It is broken, and its severity says that this is no reason to stop.
    Warned,
    /// It is broken.
    Failed,
}

impl Verdict {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Warned => "warned",
            Verdict::Failed => "failed",
        }
    }
}

/// Joins chunks. [`Checker::look`] may run on any thread; [`Checker::join`] gets its results in the order of the rows.
pub struct Checker<'a> {
    pub(super) rules: &'a [Rule],
    pub(super) totals: Vec<Total<'a>>,
    names: BTreeSet<String>,
    now: f64,
    rows: u64,
}

/// What is known of one rule so far.
pub(super) struct Total<'a> {
    checked: u64,
    failed: u64,
    failures: Vec<Failure>,
    hashes: Option<RowHashes<'a>>,
    newest: Option<f64>,
    future: u64,
    unread: u64,
    seen: Vec<bool>,
    /// Of a rule in SQL: the rows of its answer, and the first of them as text.
    pub(super) answer: Option<(u64, String)>,
}

/// What a chunk is under the rules.
pub struct Looked {
    rows: u64,
    names: Vec<String>,
    tallies: Vec<Tally>,
}

impl<'a> Checker<'a> {
    /// For these rules, in this much memory; what does not fit goes to files of the scratch folder. `now` is in
    /// seconds since 1970.
    pub fn new(rules: &'a [Rule], scratch: &'a Path, memory_bytes: usize, now: f64) -> Checker<'a> {
        let uniques = rules.iter().filter(|rule| matches!(rule.test, Test::Unique)).count().max(1);
        let total = |rule: &Rule| Total {
            checked: 0,
            failed: 0,
            failures: Vec::new(),
            hashes: matches!(rule.test, Test::Unique).then(|| RowHashes::new(scratch, memory_bytes / uniques)),
            newest: None,
            future: 0,
            unread: 0,
            seen: vec![false; rule.columns.len()],
            answer: None,
        };
        Checker { rules, totals: rules.iter().map(total).collect(), names: BTreeSet::new(), now, rows: 0 }
    }

    /// Looks at a chunk.
    pub fn look(rules: &[Rule], chunk: &Chunk, now: f64) -> Looked {
        Looked { rows: chunk.rows() as u64, names: chunk.names().to_vec(), tallies: look(rules, chunk, now) }
    }

    /// Looks at a chunk and adds it.
    ///
    /// # Errors
    /// Those of [`Checker::join`].
    pub fn add(&mut self, chunk: &Chunk) -> Result<()> {
        self.join(Checker::look(self.rules, chunk, self.now))
    }

    /// Adds what the next chunk is.
    ///
    /// # Errors
    /// [`ErrorCode::Io`] and [`ErrorCode::StorageFull`] when hashes do not fit into the scratch folder.
    pub fn join(&mut self, looked: Looked) -> Result<()> {
        let first = self.rows;
        for (total, tally) in self.totals.iter_mut().zip(looked.tallies) {
            total.checked += tally.checked;
            total.failed += tally.failed;
            total.future += tally.future;
            total.unread += tally.unread;
            total.newest = match (total.newest, tally.newest) {
                (Some(mine), Some(theirs)) => Some(mine.max(theirs)),
                (mine, theirs) => mine.or(theirs),
            };
            total.seen.iter_mut().zip(&tally.has).for_each(|(seen, has)| *seen |= has);
            let room = SHOWN - total.failures.len();
            total.failures.extend(tally.examples.into_iter().take(room).map(|(row, value)| Failure {
                part: None,
                row: first + u64::from(row) + 1,
                value,
                repeats: None,
                repeats_part: None,
            }));
            if let Some(hashes) = &mut total.hashes {
                hashes.add_listed(first, &tally.hashes)?;
            }
        }
        for name in looked.names {
            if self.names.len() <= 10_000 {
                self.names.insert(name);
            }
        }
        self.rows += looked.rows;
        Ok(())
    }

    /// The verdicts.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a rule about a column that the table does not have; those of [`Checker::join`].
    pub fn finish(self, threads: usize) -> Result<CheckReport> {
        let (rows, now) = (self.rows, self.now);
        let mut outcomes = Vec::with_capacity(self.rules.len());
        for (rule, total) in self.rules.iter().zip(self.totals) {
            if let Some(place) = total.seen.iter().position(|seen| !seen)
                && rows > 0
            {
                return Err(unknown_column(&rule.columns[place], &self.names));
            }
            outcomes.push(total.outcome(rule, rows, now, threads)?);
        }
        Ok(CheckReport { rows, rules: outcomes })
    }
}

fn unknown_column(column: &str, names: &BTreeSet<String>) -> Error {
    let error =
        Error::new(ErrorCode::NotFound, "a rule is about this column, which the table does not have").at_column(column);
    let names = names.iter().map(String::as_str);
    match nearest(column, names.clone()) {
        Some(near) => error.fix(format!("did you mean \"{near}\"?")),
        None => error.fix(format!("its columns are: {}", names.take(30).collect::<Vec<_>>().join(", "))),
    }
}

impl Total<'_> {
    fn outcome(mut self, rule: &Rule, rows: u64, now: f64, threads: usize) -> Result<RuleOutcome> {
        let mut observed = None;
        match &rule.test {
            Test::RowCount { min, max } => {
                (self.checked, self.failed) = (1, u64::from(!(*min..=*max).contains(&rows)));
                observed = Some(format!("{} rows", thousands(rows)));
            }
            Test::FreshWithin { seconds } => {
                let fresh = self.newest.is_some_and(|newest| now - newest <= *seconds);
                (self.checked, self.failed) = (1, u64::from(!fresh));
                let mut text = self.newest.map_or_else(
                    || "there is no date that is not in the future".to_owned(),
                    |newest| format!("the newest is {}, the clock says {}", moment_text(newest), moment_text(now)),
                );
                for (count, words) in [(self.future, "lie in the future"), (self.unread, "are no ISO date")] {
                    if count > 0 {
                        text.push_str(&format!("; {} {words}", thousands(count)));
                    }
                }
                observed = Some(text);
            }
            Test::Sql(_) => {
                let (found, text) = self.answer.take().ok_or_else(|| Error::internal("a query was not asked"))?;
                (self.checked, self.failed) = (rows, found);
                observed = Some(text);
            }
            _ => {}
        }
        if let Some(hashes) = self.hashes.take() {
            let found = hashes.find(threads)?;
            self.failed = found.count;
            let mut repeats: Vec<(u64, u64)> = found
                .groups
                .iter()
                .flat_map(|group| group.repeats.iter().map(|repeat| (*repeat, group.first)))
                .collect();
            repeats.sort_unstable();
            self.failures.extend(repeats.iter().take(SHOWN).map(|(row, first)| Failure {
                part: None,
                row: row + 1,
                value: None,
                repeats: Some(first + 1),
                repeats_part: None,
            }));
        }
        // Shares such as 0.99 have no exact float: a millionth of a row decides nothing.
        let allowed = (1.0 - rule.at_least) * self.checked as f64 + 1e-6;
        let kept = self.failed == 0 || self.failed as f64 <= allowed;
        let verdict = match (kept, rule.severity) {
            (true, _) => Verdict::Passed,
            (false, Severity::Error) => Verdict::Failed,
            (false, _) => Verdict::Warned,
        };
        Ok(RuleOutcome {
            rule: rule.kind,
            columns: rule.columns.clone(),
            expected: rule.expected.clone(),
            severity: rule.severity,
            checked: self.checked,
            failed: self.failed,
            failures: self.failures,
            observed,
            verdict,
        })
    }
}

/// Checks a file in one pass. A ragged row is what [`ProfileOptions::scan`] says.
///
/// # Errors
/// Those of [`Scan::open`], [`Scan::fold`] and [`Checker::finish`].
pub fn check_file(
    path: &Path,
    rules: &[Rule],
    now: f64,
    options: &ProfileOptions<'_>,
) -> Result<(CheckReport, SourceFile)> {
    let scan = Scan::open(path, &options.scan)?;
    // A file without rows has columns all the same.
    if let Some(names) = scan.names() {
        let names: BTreeSet<String> = names.into_iter().collect();
        for column in rules.iter().flat_map(|rule| &rule.columns) {
            if !names.contains(column) {
                return Err(unknown_column(column, &names).in_file(path));
            }
        }
    }
    let mut checker = Checker::new(rules, options.scratch, options.memory_bytes, now);
    let how = Work { threads: options.threads, progress: options.progress, cancel: options.cancel };
    let work = |chunk: Chunk| Ok(Checker::look(rules, &chunk, now));
    let source = scan.fold(&how, work, |_: Position, looked| checker.join(looked))?;
    if Checker::has_queries(rules) {
        let table = SqlTable::file(path, &options.scan, &how)?;
        let work = SqlWork {
            scratch: options.scratch,
            threads: options.threads,
            progress: options.progress,
            cancel: options.cancel,
        };
        checker.ask(&table, &work)?;
    }
    let report = checker.finish(options.threads).map_err(|error| match error.place().file {
        Some(_) => error,
        None => error.in_file(path),
    })?;
    Ok((report, source))
}
