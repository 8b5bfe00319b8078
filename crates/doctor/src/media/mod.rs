//! Pictures and sounds: what a collection of them holds, what is wrong with it, its repair and the way back.
//!
//! - `collection`: the items (files of a folder, rows of idx files, rows of a dataset), with label and part, undecoded.
//! - `survey`: each item read once, in parallel, none kept; `fault` says why one could not be.
//! - `pictures`, `audio`: what is kept of one item, and the findings that only they have.
//! - `checks`: findings that both have: broken items, repeats, leaks, classes.
//! - `repair`: a plan applied as a new folder.

pub mod audio;
mod checks;
mod collection;
mod fault;
pub mod pictures;
mod profile;
pub mod repair;
mod survey;
mod walk;

pub use collection::{Collection, Form, Item, MediaKind};
pub use fault::{Fault, FaultKind};
pub use profile::{ClassCount, Numbers};
pub use survey::{Reading, Survey, SurveyOptions};
pub use walk::{Other, OtherKind};
