//! Rules that a person sets for a table, and whether its rows keep them.
//!
//! `settings` is a rule as TOML has it, `rule` what it means; `cells` looks at a chunk on any thread, `check` joins
//! the chunks in the order of the rows, `ask` runs the queries of rules in SQL, and `suggest` proposes rules from a profile. Memory does not grow with rows.

mod ask;
mod cells;
mod check;
mod rule;
mod settings;
mod suggest;

pub use check::{CheckReport, Checker, Failure, RuleOutcome, Verdict, check_file};
pub use rule::Rule;
pub use settings::{Bound, CheckSettings, RuleKind, RuleSettings, RulesFile, Scalar, ValueType};
pub use suggest::suggest;
