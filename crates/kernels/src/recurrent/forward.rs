//! The way in: products with the inputs, then place by place.

use super::product::{self, Finish};
use super::rule::Rule;
use super::{Recurrent, RecurrentMemory, Shares, deal, pack, packed_parts};
use crate::precision::{operand, share_products, terms, terms_of};
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut, prefetch};
use crate::{LANES, Workers};
use std::marker::PhantomData;
use std::ops::Range;

/// Places that meet a tile of weights while it is near.
pub(super) const PLACES: usize = 4;

pub(super) fn run<C: Rule>(
    sizes: &Recurrent,
    workers: &Workers,
    x: &[f32],
    weights: [&[f32]; 4],
    ends: &[Lane],
    memory: &mut RecurrentMemory,
    y: &mut [f32],
) {
    let Recurrent { features, units, time, .. } = *sizes;
    let RecurrentMemory { kept, cells, packed, .. } = memory;
    let places = ends.len() * time;
    kept.resize(places * units * C::GROUPS * LANES, 0.0);
    cells.resize(if C::MEMORY { places * units * LANES } else { 0 }, 0.0);
    packed.resize(C::GATES * units * features.max(units), 0.0);
    let bias = bias::<C>(units, weights[2], weights[3]);
    pack::forward::<C>(workers, &operand(workers, weights[0], features, 1), units, packed);
    let x = operand(workers, x, features, LANES);
    let features = workers.terms(features);
    let shares = packed_parts(packed, units, C::GATES * features, workers.threads());
    share_products(workers, kept, units * C::GROUPS * LANES, |range, to| Inputs::<C> {
        features,
        x: &lanes(&x)[range.start * features..range.end * features],
        shares: &shares,
        bias: &bias,
        to,
        rule: PhantomData,
    });
    pack::forward::<C>(workers, &operand(workers, weights[1], units, 1), units, packed);
    let shares = packed_parts(packed, units, C::GATES * workers.terms(units), workers.threads());
    let mut blocks = Block::all::<C>(sizes, ends, kept, cells, y);
    if sizes.by_blocks(workers, ends.len()) {
        let of = |blocks| Walk::<C> { sizes, shares: &shares, blocks, rule: PhantomData };
        return workers.multiply(deal(blocks, workers.threads()).into_iter().map(of).collect());
    }
    for step in 0..time {
        let mut tasks: Vec<Step<'_, C>> = Vec::with_capacity(shares.len());
        for (_, packed) in &shares {
            let places = Vec::with_capacity(blocks.len());
            tasks.push(Step { sizes, packed, places, rule: PhantomData });
        }
        for block in &mut blocks {
            let place = block.at::<C>(sizes, step);
            for (task, place) in tasks.iter_mut().zip(place.split::<C>(&shares)) {
                task.places.push(place);
            }
        }
        workers.multiply(tasks);
    }
}

/// What is added to the products, in the order of what is kept: of a vector that both sides give something to, both biases.
fn bias<C: Rule>(units: usize, input: &[f32], state: &[f32]) -> Vec<f32> {
    let mut all = vec![0.0; units * C::GROUPS];
    for gate in 0..C::GATES {
        for (unit, own) in all.chunks_exact_mut(C::GROUPS).enumerate() {
            own[C::INPUT[gate]] += input[gate * units + unit];
            own[C::STATE[gate]] += state[gate * units + unit];
        }
    }
    all
}

/// The products with the inputs of some places.
struct Inputs<'a, C> {
    features: usize,
    x: &'a [Lane],
    shares: &'a Shares<'a>,
    bias: &'a [f32],
    to: &'a mut [f32],
    rule: PhantomData<C>,
}

impl<C: Rule> Task for Inputs<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let size = self.bias.len();
        let inputs = self.x.chunks(PLACES * self.features);
        let mut rest = lanes_mut(self.to);
        for x in inputs {
            let count = (PLACES * size).min(rest.len());
            let (to, behind) = std::mem::take(&mut rest).split_at_mut(count);
            for (range, packed) in self.shares {
                let part = range.start * C::GROUPS..range.end * C::GROUPS;
                let bias = &self.bias[part.clone()];
                let own = to.chunks_exact_mut(size).map(|to| &mut to[part.clone()]);
                let mut rows: Vec<(&[Lane], &mut [Lane])> = x.chunks_exact(self.features).zip(own).collect();
                let next = Next::<C> { bias, next: behind, size, first: part.start, rule: PhantomData };
                product::forward::<S, C, false>(simd, packed, range.len(), self.features, &mut rows, Some(bias), next);
            }
            rest = behind;
        }
    }
}

/// Gives a vector that no input adds to its bias, and asks for the memory that the next places are written to.
struct Next<'a, C> {
    bias: &'a [f32],
    /// `[places, size]`
    next: &'a [Lane],
    size: usize,
    first: usize,
    rule: PhantomData<C>,
}

impl<C: Rule> Finish for Next<'_, C> {
    #[inline(always)]
    fn tile<S: Simd>(&mut self, simd: S, row: usize, start: usize, to: &mut [Lane]) {
        let start = start * C::GROUPS;
        if C::GROUPS > C::GATES {
            for (bias, to) in self.bias[start..].iter().zip(&mut *to).skip(C::GATES).step_by(C::GROUPS) {
                simd.store(simd.splat(*bias), to);
            }
        }
        let next = row * self.size + self.first + start;
        prefetch(simd, self.next.get(next..next + to.len()).unwrap_or_default());
    }
}

/// All places of a block of rows.
struct Block<'a> {
    /// `[time, units, groups]`
    kept: &'a mut [Lane],
    /// `[time, units]`, or nothing.
    cells: &'a mut [Lane],
    /// `[time, outputs]`
    y: &'a mut [Lane],
    end: Lane,
}

impl<'a> Block<'a> {
    fn all<C: Rule>(
        sizes: &Recurrent,
        ends: &[Lane],
        kept: &'a mut [f32],
        cells: &'a mut [f32],
        y: &'a mut [f32],
    ) -> Vec<Block<'a>> {
        let Recurrent { units, time, outputs, .. } = *sizes;
        let mut cells = lanes_mut(cells);
        let kept = lanes_mut(kept).chunks_exact_mut(time * units * C::GROUPS);
        let y = lanes_mut(y).chunks_exact_mut(time * outputs);
        let of = |((kept, y), end): ((&'a mut [Lane], &'a mut [Lane]), &Lane)| {
            let count = if C::MEMORY { time * units } else { 0 };
            let cells = cells.split_off_mut(..count).unwrap_or_default();
            Block { kept, cells, y, end: *end }
        };
        kept.zip(y).zip(ends).map(of).collect()
    }

    /// What a step reads and writes.
    #[inline(always)]
    fn at<C: Rule>(&mut self, sizes: &Recurrent, step: usize) -> Place<'_> {
        let Recurrent { units, outputs, first, .. } = *sizes;
        let (place, before) = sizes.places(step);
        let size = units * C::GROUPS;
        let after = (step + 1 < sizes.time).then(|| sizes.places(step + 1).0 * size);
        let (after, kept) = two(self.kept, after, place * size, size);
        let (state, y) = two(self.y, before.map(|before| before * outputs + first), place * outputs + first, units);
        let memory = if C::MEMORY { units } else { 0 };
        let (cell, next) = two(self.cells, before.map(|before| before * memory), place * memory, memory);
        Place { kept, after, state, y, from: 0, cell, next, end: self.end, place }
    }
}

/// `count` vectors at `before`, where there are any, to read, and those at `now` to write.
#[inline(always)]
pub(super) fn two(values: &mut [Lane], before: Option<usize>, now: usize, count: usize) -> (&[Lane], &mut [Lane]) {
    match before {
        None => (&[], &mut values[now..now + count]),
        Some(before) if before < now => {
            let (front, behind) = values.split_at_mut(now);
            (&front[before..before + count], &mut behind[..count])
        }
        Some(before) => {
            let (front, behind) = values.split_at_mut(before);
            (&behind[..count], &mut front[now..now + count])
        }
    }
}

/// What is read and written of one block at one place, for some units.
struct Place<'a> {
    /// `[units, groups]`
    kept: &'a mut [Lane],
    /// The same at the next step; nothing at the last.
    after: &'a [Lane],
    /// The states before, of all units; nothing at the first step.
    state: &'a [Lane],
    /// The new ones.
    y: &'a mut [Lane],
    /// The first of the units.
    from: usize,
    /// The second states before; nothing at the first step.
    cell: &'a [Lane],
    /// The new ones.
    next: &'a mut [Lane],
    end: Lane,
    place: usize,
}

impl<'a> Place<'a> {
    /// Cut by units.
    fn split<C: Rule>(self, shares: &Shares<'_>) -> Vec<Place<'a>> {
        let Place { mut kept, after, state, mut y, cell, mut next, end, place, .. } = self;
        let cut = |range: &Range<usize>| {
            let count = range.len();
            Place {
                kept: kept.split_off_mut(..count * C::GROUPS).unwrap_or_default(),
                after: after.get(range.start * C::GROUPS..range.end * C::GROUPS).unwrap_or_default(),
                state,
                y: y.split_off_mut(..count).unwrap_or_default(),
                from: range.start,
                cell: if cell.is_empty() { cell } else { &cell[range.clone()] },
                next: next.split_off_mut(..count).unwrap_or_default(),
                end,
                place,
            }
        };
        shares.iter().map(|(range, _)| range).map(cut).collect()
    }

    /// Units after the products, from the first one on as many as `kept` has.
    #[inline(always)]
    fn finish<S: Simd, C: Rule>(&mut self, simd: S, first: usize, kept: &mut [Lane]) {
        let (zero, inside) = (simd.splat(0.0), inside(simd, &self.end, self.place));
        let state = if self.state.is_empty() { self.state } else { &self.state[self.from + first..] };
        let cell = if self.cell.is_empty() { self.cell } else { &self.cell[first..] };
        let next = if C::MEMORY { &mut self.next[first..] } else { &mut [] };
        for (unit, (kept, y)) in kept.chunks_exact_mut(C::GROUPS).zip(&mut self.y[first..]).enumerate() {
            let load = |values: &[Lane]| match values.get(unit) {
                Some(value) => simd.load(value),
                None => zero,
            };
            let [value, second] = C::forward(simd, kept, [load(state), load(cell)]);
            simd.store(simd.mul(value, inside), y);
            if let Some(next) = next.get_mut(unit) {
                simd.store(simd.mul(second, inside), next);
            }
        }
    }
}

/// Finishes units of several blocks at one place, and asks for what the next place begins with.
struct Units<'a, 'b, C> {
    places: &'b mut [Place<'a>],
    /// The first of the units whose products are computed.
    first: usize,
    rule: PhantomData<C>,
}

impl<C: Rule> Finish for Units<'_, '_, C> {
    #[inline(always)]
    fn tile<S: Simd>(&mut self, simd: S, row: usize, start: usize, kept: &mut [Lane]) {
        let place = &mut self.places[row];
        place.finish::<S, C>(simd, self.first + start, kept);
        let after = (self.first + start) * C::GROUPS;
        prefetch(simd, place.after.get(after..after + kept.len()).unwrap_or_default());
    }
}

/// The states before, as the terms of products.
#[inline(always)]
fn states<'a, S: Simd>(simd: S, places: &[Place<'a>], pairs: &'a mut [Lane]) -> Vec<&'a [Lane]> {
    let mut rest = pairs;
    let mut all = Vec::with_capacity(places.len());
    for place in places {
        let count = if S::PAIRED { terms_of::<S>(place.state.len()) } else { 0 };
        let (own, others) = std::mem::take(&mut rest).split_at_mut(count);
        rest = others;
        all.push(terms(simd, place.state, own));
    }
    all
}

/// 1 for rows that have the place, 0 for others.
#[inline(always)]
pub(super) fn inside<S: Simd>(simd: S, end: &Lane, place: usize) -> S::V {
    simd.select_above(simd.load(end), simd.splat(place as f32), simd.splat(1.0), simd.splat(0.0))
}

/// One place of some blocks, for the units of all shares.
#[inline(always)]
fn step<S: Simd, C: Rule>(simd: S, mut places: Vec<Place<'_>>, shares: &Shares<'_>, pairs: &mut [Lane]) {
    let mut kept: Vec<&mut [Lane]> = places.iter_mut().map(|at| std::mem::take(&mut at.kept)).collect();
    let terms = terms_of::<S>(places.first().map_or(0, |at| at.state.len()));
    if terms == 0 {
        // The first step: there is no state yet.
        for (at, kept) in places.iter_mut().zip(kept) {
            at.finish::<S, C>(simd, 0, kept);
        }
        return;
    }
    let states = states(simd, &places, pairs);
    for (range, packed) in shares {
        let part = range.start * C::GROUPS..range.end * C::GROUPS;
        let own = kept.iter_mut().map(|kept| &mut kept[part.clone()]);
        let mut rows: Vec<(&[Lane], &mut [Lane])> = states.iter().copied().zip(own).collect();
        let units = Units::<C> { places: &mut places, first: range.start, rule: PhantomData };
        product::forward::<S, C, true>(simd, packed, range.len(), terms, &mut rows, None, units);
    }
}

/// Memory for [`states`] of some blocks.
#[inline(always)]
fn state_pairs<S: Simd>(sizes: &Recurrent, blocks: usize) -> Vec<Lane> {
    vec![[0.0; LANES]; if S::PAIRED { blocks * terms_of::<S>(sizes.units) } else { 0 }]
}

/// All places of some blocks.
struct Walk<'a, C> {
    sizes: &'a Recurrent,
    shares: &'a Shares<'a>,
    blocks: Vec<Block<'a>>,
    rule: PhantomData<C>,
}

impl<C: Rule> Task for Walk<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let mut pairs = state_pairs::<S>(self.sizes, self.blocks.len());
        for at in 0..self.sizes.time {
            let places = self.blocks.iter_mut().map(|block| block.at::<C>(self.sizes, at)).collect();
            step::<S, C>(simd, places, self.shares, &mut pairs);
        }
    }
}

/// One place, for some units of all blocks.
struct Step<'a, C> {
    sizes: &'a Recurrent,
    packed: &'a [f32],
    places: Vec<Place<'a>>,
    rule: PhantomData<C>,
}

impl<C: Rule> Task for Step<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let count = self.places.first().map_or(0, |place| place.y.len());
        let mut pairs = state_pairs::<S>(self.sizes, self.places.len());
        step::<S, C>(simd, self.places, &[(0..count, self.packed)], &mut pairs);
    }
}
