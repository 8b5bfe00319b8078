//! Changes to table rows: more rows of rare classes (SMOTE) before training, and noise on numbers while it goes on.

mod noise;
mod smote;

pub use noise::NumberNoise;
pub use smote::{Oversampled, Smote, oversample};
