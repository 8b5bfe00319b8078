//! What people write and mean a value by: numbers, amounts with units and money, dates. One set of readers for
//! sources, for the doctor's findings and repairs, and for recipes, so that a cell means the same to all of them.

mod amount;
mod date;
mod number;

pub use amount::{UNITS, measure, written_number};
pub use date::{Date, DateOrder, DayParts, day_parts};
pub use number::parse_number;
