//! A compiled network, and what follows from its operations together: which values are kept, which gradient comes first, and
//! where it is masked.

use super::compile::{Back, Op, Value};

/// A compiled network, for inputs of one shape.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    /// Value 0 is the input.
    pub(super) values: Vec<Value>,
    /// Values that are never made.
    pub(super) hidden: Vec<usize>,
    /// For each value whether it has memory of its own: the input, and what operations note beside their outputs.
    pub(super) stays: Vec<bool>,
    /// For each value whether its gradient comes as what is in front of its own `max(·, 0)`.
    pub(super) masked: Vec<bool>,
    /// Weights of dense layers over pictures that are not flattened, with channels and places: they lie in the order of the
    /// picture.
    pub(super) turned: Vec<(usize, [usize; 2])>,
    /// For each operation the values that are no longer needed behind it.
    pub(super) done: Vec<Vec<usize>>,
    pub(super) output: usize,
    /// Operations that are a batch norm.
    pub(super) norms: usize,
    /// Directions of all layers of recurrent stacks.
    pub(super) recurrent: usize,
    /// For each way to tell where sequences end, the code that stands behind it.
    pub(super) paddings: Vec<i64>,
}

impl Program {
    /// Finds which values the way back needs, and where the others are used last.
    pub(super) fn lifetimes(&mut self, answers: bool) {
        // What is no operation's output belongs to one: winners, masks, derivatives.
        self.stays = vec![true; self.values.len()];
        self.hidden.iter().for_each(|value| self.stays[*value] = false);
        let mut kept = vec![true; self.values.len()];
        for op in &self.ops {
            self.stays[op.output()] = false;
            kept[op.output()] = !answers && op.reads_back()[1];
        }
        let mut last = vec![None; self.values.len()];
        for (at, op) in self.ops.iter().enumerate() {
            for (input, _) in op.inputs() {
                kept[input] |= !answers && op.reads_back()[0];
                last[input] = Some(at);
            }
        }
        kept[self.output] = true;
        self.done = vec![Vec::new(); self.ops.len()];
        for (value, at) in last.into_iter().enumerate().filter(|(value, _)| !kept[*value]) {
            if let Some(at) = at {
                self.done[at].push(value);
            }
        }
    }

    /// Finds which gradients can come through `max(·, 0)` where they are made: a dense layer gives them, and nobody else does.
    pub(super) fn masks(&mut self) {
        self.masked = vec![false; self.values.len()];
        for maker in &self.ops {
            let (Op::Linear { y, relu: true, .. } | Op::Conv { y, relu: true, .. }) = maker else { continue };
            let mut takers = self.ops.iter().filter(|op| op.inputs().iter().any(|(input, _)| input == y));
            let is_dense = matches!(takers.next(), Some(Op::Linear { .. }));
            self.masked[*y] = is_dense && takers.next().is_none() && *y != self.output;
        }
    }

    /// Finds which gradient of each value comes first on the way back.
    pub(super) fn backs(&mut self) {
        let mut put = vec![false; self.values.len()];
        put[self.output] = true;
        let mut back = |value: usize| match (value, std::mem::replace(&mut put[value], true)) {
            (0, _) => Back::None,
            (_, false) => Back::Put,
            (_, true) => Back::Add,
        };
        for op in self.ops.iter_mut().rev() {
            match op {
                Op::PooledConv { x, back: own, .. }
                | Op::Conv { x, back: own, .. }
                | Op::Linear { x, back: own, .. }
                | Op::Norm { x, back: own, .. }
                | Op::MaxPool { x, back: own, .. }
                | Op::Mean { x, back: own, .. }
                | Op::Flatten { x, back: own, .. }
                | Op::Relu { x, back: own, .. }
                | Op::Dropout { x, back: own, .. } => *own = back(*x),
                Op::Sum { a, b, backs, .. } => *backs = [back(*a), back(*b)],
                Op::Picture(op) => op.inputs.iter_mut().for_each(|(x, own)| *own = back(*x)),
                Op::Sequence(op) => op.set_backs(&mut back),
                Op::Recurrent(layer) => layer.back = back(layer.x),
            }
        }
    }
}
