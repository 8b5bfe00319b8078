//! All that is unsafe: vector instructions and threads that borrow. What leaves this module is safe to call with any
//! argument.

#![allow(unsafe_code)]

mod pool;
mod simd;

pub use pool::Workers;
pub use simd::Level;
pub(crate) use simd::{Simd, Task};
