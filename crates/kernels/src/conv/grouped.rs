//! A convolution in groups of channels: each group is copied together, convolved by itself, and copied back, so that all of
//! it happens in memory of the size of one group.

use super::Conv;
use crate::{LANES, Workers, copy_part};

/// The sizes of a convolution in groups. Its weight is `[groups · out_channels, channels, height, width]`, where channels
/// are those of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupedConv {
    /// That of one group.
    pub conv: Conv,
    /// Groups of channels beside each other.
    pub groups: usize,
}

/// The memory of one group.
struct Memory<'a> {
    /// Its weight in the order of tiles.
    packed: &'a mut [f32],
    x: &'a mut [f32],
    y: &'a mut [f32],
    rest: &'a mut [f32],
}

impl GroupedConv {
    /// Numbers of scratch memory for so many blocks of rows.
    pub fn scratch(&self, blocks: usize) -> usize {
        let [inputs, outputs] = self.sizes(blocks);
        self.conv.weights() + inputs + outputs + self.conv.scratch(blocks)
    }

    /// Numbers of a group's inputs and outputs.
    fn sizes(&self, blocks: usize) -> [usize; 2] {
        let Conv { channels, sides, out_channels, .. } = self.conv;
        [sides[0] * sides[1] * channels, self.conv.places() * out_channels].map(|size| blocks * size * LANES)
    }

    fn memory<'a>(&self, scratch: &'a mut [f32], blocks: usize) -> Memory<'a> {
        let [inputs, outputs] = self.sizes(blocks);
        let (packed, scratch) = scratch.split_at_mut(self.conv.weights());
        let (x, scratch) = scratch.split_at_mut(inputs);
        let (y, rest) = scratch.split_at_mut(outputs);
        Memory { packed, x, y, rest }
    }

    /// Channels of a group and of all, in and out.
    fn channels(&self) -> [[usize; 2]; 2] {
        [self.conv.channels, self.conv.out_channels].map(|own| [own, own * self.groups])
    }

    /// `y = max(W * x + b, 0)`, or without the maximum: `x` `[blocks, height, width, groups · channels, 16]`, `y`
    /// `[blocks, height', width', groups · out_channels, 16]`; `scratch` has [`GroupedConv::scratch`] numbers.
    #[allow(clippy::too_many_arguments)]
    pub fn forward(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
        relu: bool,
        scratch: &mut [f32],
        y: &mut [f32],
    ) {
        let [[own, all], [outs, all_outs]] = self.channels();
        let blocks = y.len() / (self.conv.places() * all_outs * LANES);
        let own_memory = self.memory(scratch, blocks);
        for (group, weights) in weights.chunks_exact(self.conv.weights()).enumerate() {
            let bias = bias.map(|bias| &bias[group * outs..][..outs]);
            copy_part(workers, x, [all, own], [group * own, 0], own, false, own_memory.x);
            self.conv.pack_forward(workers, weights, own_memory.packed);
            self.conv.forward(workers, own_memory.x, own_memory.packed, bias, relu, own_memory.y);
            copy_part(workers, own_memory.y, [outs, all_outs], [0, group * outs], outs, false, y);
        }
    }

    /// The gradients of weight and bias, and `dx`, or added to `dx`, unless that is empty; `dy` is the gradient in front of
    /// the activation, and `scratch` has [`GroupedConv::scratch`] numbers.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        workers: &Workers,
        x: &[f32],
        weights: &[f32],
        dy: &[f32],
        scratch: &mut [f32],
        dw: &mut [f32],
        mut db: Option<&mut [f32]>,
        add: bool,
        dx: &mut [f32],
    ) {
        let [[own, all], [outs, all_outs]] = self.channels();
        let blocks = dy.len() / (self.conv.places() * all_outs * LANES);
        let size = self.conv.weights();
        let Memory { packed, x: own_x, y: own_dy, rest } = self.memory(scratch, blocks);
        for (group, (weights, dw)) in weights.chunks_exact(size).zip(dw.chunks_exact_mut(size)).enumerate() {
            let db = db.as_deref_mut().map(|db| &mut db[group * outs..][..outs]);
            copy_part(workers, x, [all, own], [group * own, 0], own, false, own_x);
            copy_part(workers, dy, [all_outs, outs], [group * outs, 0], outs, false, own_dy);
            self.conv.backward_weights(workers, own_x, None, own_dy, rest, dw, db);
            if !dx.is_empty() {
                self.conv.pack_backward(workers, weights, packed);
                self.conv.backward_input(workers, own_dy, packed, false, own_x);
                copy_part(workers, own_x, [own, all], [0, group * own], own, add, dx);
            }
        }
    }
}
