//! Rules in SQL: a query over the table `data`. Its rows are those that break the rule.

use super::check::Checker;
use super::rule::{Rule, Test};
use lepton_core::{Error, ErrorCode, Result, thousands};
use lepton_data::sql::{SqlTable, SqlValue, SqlWork, query};

/// What the table is called in a rule.
const TABLE: &str = "data";

/// Rows of an answer that are shown.
const SHOWN: usize = 3;

/// Characters of a row that are shown.
const LONGEST: usize = 120;

impl Checker<'_> {
    /// Whether [`Checker::ask`] has anything to ask.
    pub fn has_queries(rules: &[Rule]) -> bool {
        rules.iter().any(|rule| matches!(rule.test, Test::Sql(_)))
    }

    /// Asks the queries of all rules, one after the other. Must be called before [`Checker::finish`] where there are
    /// any.
    ///
    /// # Errors
    /// Those of [`query`], with the key `query`.
    pub fn ask(&mut self, table: &SqlTable, work: &SqlWork<'_>) -> Result<()> {
        for (rule, total) in self.rules.iter().zip(&mut self.totals) {
            let Test::Sql(sql) = &rule.test else { continue };
            let mut shown = Vec::new();
            let answer = query(
                sql,
                work,
                |name| match name.eq_ignore_ascii_case(TABLE) {
                    true => Ok(table.clone()),
                    false => Err(Error::new(ErrorCode::NotFound, format!("a rule has no table \"{name}\""))
                        .fix(format!("the rows under check are the table {TABLE}: select ... from {TABLE} where ..."))),
                },
                |columns, row| {
                    if shown.len() < SHOWN {
                        shown.push(text(columns, row));
                    }
                    Ok(())
                },
            )
            .map_err(|error| error.at_key("query"))?;
            let more = if answer.rows > shown.len() as u64 { "; ..." } else { "" };
            let text = match answer.rows {
                0 => "no row".to_owned(),
                1 => format!("1 row: {}", shown.join("; ")),
                count => format!("{} rows: {}{more}", thousands(count), shown.join("; ")),
            };
            total.answer = Some((answer.rows, text));
        }
        Ok(())
    }
}

/// `name: bob, size: 3`
fn text(columns: &[String], row: Vec<SqlValue>) -> String {
    let cell = |(name, value): (&String, SqlValue)| {
        format!("{name}: {}", value.text().unwrap_or_else(|| "missing".to_owned()))
    };
    let line = columns.iter().zip(row).map(cell).collect::<Vec<_>>().join(", ");
    line.chars().take(LONGEST).collect()
}
