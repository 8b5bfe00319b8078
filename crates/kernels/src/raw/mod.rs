//! All that is unsafe: vector instructions and threads that borrow. What leaves this module is safe to call with any
//! argument.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bf16;
mod pool;
mod portable;
mod simd;

pub(crate) use bf16::pair;
pub(crate) use pool::Memory;
pub use pool::Workers;
pub use simd::Level;
pub(crate) use simd::{Elements, Lane, Numbers, Simd, Task};
