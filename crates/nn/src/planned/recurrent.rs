//! Recurrent layers of a planned step: each layer of a stack is one operation, its directions one after the other.

use super::compile::Back;
use crate::layers::recurrent::{Cell, PARTS, Stack};
use lepton_kernels::{self as kernels, RecurrentMemory, Workers};
use std::ops::Range;

/// One layer of a stack.
#[derive(Clone, Debug)]
pub(super) struct Recurrent {
    /// By direction.
    pub(super) sizes: Vec<kernels::Recurrent>,
    pub(super) x: usize,
    pub(super) y: usize,
    /// The first parameter; each direction has four of them.
    pub(super) weight: usize,
    /// The memory of the first direction.
    pub(super) memory: usize,
    pub(super) back: Back,
}

/// The directions of a layer of `stack` over `[time, features]`.
pub(super) fn directions(stack: &Stack, time: usize, features: usize) -> Vec<kernels::Recurrent> {
    let cell = match stack.cell {
        Cell::Tanh => kernels::Cell::Tanh,
        Cell::Lstm => kernels::Cell::Lstm,
        Cell::Gru => kernels::Cell::Gru,
    };
    let Stack { units, directions, .. } = *stack;
    let of = |direction: usize| kernels::Recurrent {
        cell,
        features,
        units,
        time,
        reverse: direction == 1,
        outputs: units * directions,
        first: units * direction,
    };
    (0..directions).map(of).collect()
}

impl Recurrent {
    /// The parameters of each direction.
    fn parameters(&self, direction: usize) -> [usize; PARTS.len()] {
        std::array::from_fn(|part| self.weight + direction * PARTS.len() + part)
    }

    /// `y` for `x`; `own` gives the numbers of a parameter.
    pub(super) fn forward<'a>(
        &self,
        workers: &Workers,
        own: impl Fn(usize) -> &'a [f32],
        x: &[f32],
        memories: &mut [RecurrentMemory],
        y: &mut [f32],
    ) {
        for (direction, sizes) in self.sizes.iter().enumerate() {
            let memory = &mut memories[self.memory + direction];
            sizes.forward(workers, x, self.parameters(direction).map(&own), None, memory, y);
        }
    }

    /// The gradients of the parameters, and of the input where it is asked for.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward<'a>(
        &self,
        workers: &Workers,
        own: impl Fn(usize) -> &'a [f32],
        [x, y, dy]: [&[f32]; 3],
        memories: &mut [RecurrentMemory],
        ranges: &[Range<usize>],
        gradients: &mut [f32],
        dx: &mut [f32],
    ) {
        for (direction, sizes) in self.sizes.iter().enumerate() {
            let memory = &mut memories[self.memory + direction];
            let parameters = self.parameters(direction);
            // Parameters lie behind each other, so that this is never refused.
            let Ok(slopes) = gradients.get_disjoint_mut(parameters.map(|parameter| ranges[parameter].clone())) else {
                return;
            };
            let add = self.back == Back::Add || direction > 0;
            let dx = (self.back != Back::None).then_some((&mut *dx, add));
            sizes.backward(workers, x, parameters.map(&own), None, memory, y, dy, slopes, dx);
        }
    }
}

/// The last of `time` places of `size` numbers of each block.
pub(super) fn last(x: &[f32], time: usize, size: usize, y: &mut [f32]) {
    for (x, y) in x.chunks_exact(time * size).zip(y.chunks_exact_mut(size)) {
        y.copy_from_slice(&x[(time - 1) * size..]);
    }
}

/// The gradient of [`last`], into or added to `dx`.
pub(super) fn last_backward(dy: &[f32], time: usize, size: usize, add: bool, dx: &mut [f32]) {
    if !add {
        dx.fill(0.0);
    }
    for (dy, dx) in dy.chunks_exact(size).zip(dx.chunks_exact_mut(time * size)) {
        dx[(time - 1) * size..].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += dy);
    }
}
