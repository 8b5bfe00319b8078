//! The arithmetic below the samplers: draws, the normal distribution, small dense matrices and descent. No search
//! spaces and no trials.

pub(crate) mod descent;
pub(crate) mod draw;
pub(crate) mod matrix;
pub(crate) mod normal;
