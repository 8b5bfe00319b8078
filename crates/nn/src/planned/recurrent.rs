//! Recurrent layers of a planned step: each layer of a stack is one operation, its directions one after the other.

use super::compile::{Back, Compiler, Op};
use super::pass::{Backward, Forward};
use crate::layers::recurrent::{Cell, PARTS, Stack};
use crate::plan::PlannedNode;
use lepton_core::{Error, Result};
use lepton_kernels::{self as kernels, RecurrentMemory};
use std::mem::take;

/// One layer of a stack.
#[derive(Clone, Debug)]
pub(super) struct Recurrent {
    /// By direction.
    pub(super) sizes: Vec<kernels::Recurrent>,
    /// What tells where sequences end.
    pub(super) ends: Option<usize>,
    pub(super) x: usize,
    pub(super) y: usize,
    /// The first parameter; each direction has four of them.
    pub(super) weight: usize,
    /// The memory of the first direction.
    pub(super) memory: usize,
    pub(super) back: Back,
}

/// The directions of a layer of `stack` over `[time, features]`.
fn directions(stack: &Stack, time: usize, features: usize) -> Vec<kernels::Recurrent> {
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

impl Compiler<'_> {
    /// The layers of a recurrent stack, with dropout between them.
    pub(super) fn recurrent(
        &mut self,
        node: &PlannedNode,
        stack: &Stack,
        mut x: usize,
        mut weight: usize,
        frozen: bool,
    ) -> Result<usize> {
        let [time, mut features] = node.input_shape[..] else {
            return Err(Error::internal("a recurrent layer over no sequence"));
        };
        let (ends, back) = (self.ends(node)?, Back::None);
        for layer in 0..stack.layers {
            let sizes = directions(stack, time, features);
            features = stack.units * stack.directions;
            let y = self.add_sequence(time, features);
            let memory = self.memories(stack.directions);
            self.add_op(Op::Recurrent(Recurrent { sizes, ends, x, y, weight, memory, back }));
            weight += PARTS.len() * stack.directions;
            x = y;
            if stack.dropout > 0.0 && layer + 1 < stack.layers && !frozen {
                let (y, mask) = (self.like(x), self.like(x));
                let name = format!("{}/{layer}", node.name);
                self.add_op(Op::Dropout { name, p: stack.dropout, x, y, mask, back });
                x = y;
            }
        }
        Ok(x)
    }
}

impl Recurrent {
    /// The parameters of each direction.
    fn parameters(&self, direction: usize) -> [usize; PARTS.len()] {
        std::array::from_fn(|part| self.weight + direction * PARTS.len() + part)
    }

    /// Fills the output.
    pub(super) fn forward(&self, pass: &mut Forward<'_>, memories: &mut [RecurrentMemory]) {
        let mut y = take(&mut pass.values[self.y]);
        for (direction, sizes) in self.sizes.iter().enumerate() {
            let weights = self.parameters(direction).map(|parameter| pass.own.of(parameter));
            let (x, ends) = (&pass.values[self.x], pass.batch.ends(self.ends));
            sizes.forward(pass.workers, x, weights, ends, &mut memories[self.memory + direction], &mut y);
        }
        pass.values[self.y] = y;
    }

    /// The gradients of the parameters, and of the input where it is asked for.
    pub(super) fn backward(&self, pass: &mut Backward<'_>, memories: &mut [RecurrentMemory]) -> Result<()> {
        let mut dx = take(&mut pass.slopes[self.x]);
        let (x, y, dy) = (&pass.values[self.x], &pass.values[self.y], &pass.slopes[self.y]);
        for (direction, sizes) in self.sizes.iter().enumerate() {
            let parameters = self.parameters(direction);
            let places = parameters.map(|parameter| pass.ranges[parameter].clone());
            let slopes = pass.gradients.get_disjoint_mut(places);
            let slopes = slopes.map_err(|_| Error::internal("parameters share their numbers"))?;
            let add = self.back == Back::Add || direction > 0;
            sizes.backward(
                pass.workers,
                x,
                parameters.map(|parameter| pass.own.of(parameter)),
                pass.batch.ends(self.ends),
                &mut memories[self.memory + direction],
                [y, dy],
                slopes,
                (self.back != Back::None).then_some((&mut dx[..], add)),
            );
        }
        pass.slopes[self.x] = dx;
        Ok(())
    }
}
