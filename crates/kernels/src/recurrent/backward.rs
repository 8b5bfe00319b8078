//! The way back: gradients of all gates place by place, from the last one on, and then that of the input.

use super::forward::{PLACES, inside, two};
use super::rule::Rule;
use super::{Recurrent, RecurrentMemory, Shares, deal, pack, packed_parts, product};
use crate::precision::share_products;
use crate::raw::{Lane, Simd, Task};
use crate::tile::{lanes, lanes_mut};
use crate::{LANES, Workers};
use std::marker::PhantomData;

/// Leaves the gradients of the gates in what was kept.
pub(super) fn run<C: Rule>(
    sizes: &Recurrent,
    workers: &Workers,
    weights: &[f32],
    ends: &[Lane],
    memory: &mut RecurrentMemory,
    y: &[f32],
    dy: &[f32],
) {
    let Recurrent { units, time, outputs, .. } = *sizes;
    let RecurrentMemory { kept, cells, packed, scratch } = memory;
    pack::backward::<C>(workers, weights, units, packed);
    let shares = packed_parts(packed, units, workers.terms(C::GATES * units), workers.threads());
    let count = ends.len() * units * LANES;
    scratch.clear();
    scratch.resize(2 * count, 0.0);
    let (carries, memories) = scratch.split_at_mut(count);
    let carries = lanes_mut(carries).chunks_exact_mut(units).zip(lanes_mut(memories).chunks_exact_mut(units));
    let kept = lanes_mut(kept).chunks_exact_mut(time * units * C::GROUPS).zip(carries);
    let mut blocks: Vec<Block<'_>> = Vec::with_capacity(ends.len());
    for (at, ((kept, (carry, memory)), end)) in kept.zip(ends).enumerate() {
        let own = |values, width: usize| &lanes(values)[at * time * width..(at + 1) * time * width];
        let cells = if C::MEMORY { own(cells, units) } else { &[] };
        let (y, dy) = (own(y, outputs), own(dy, outputs));
        blocks.push(Block { kept, carry, memory, cells, y, dy, end: *end });
    }
    if sizes.by_blocks(workers, ends.len()) {
        let of = |blocks| Walk::<C> { sizes, shares: &shares, blocks, rule: PhantomData };
        return workers.multiply(deal(blocks, workers.threads()).into_iter().map(of).collect());
    }
    for step in (0..time).rev() {
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

/// The gradient of the input from those of the gates.
pub(super) fn input<C: Rule>(
    sizes: &Recurrent,
    workers: &Workers,
    weights: &[f32],
    kept: &[f32],
    packed: &mut [f32],
    add: bool,
    dx: &mut [f32],
) {
    let Recurrent { features, units, .. } = *sizes;
    pack::backward::<C>(workers, weights, units, packed);
    let shares = packed_parts(packed, features, workers.terms(C::GATES * units), workers.threads());
    share_products(workers, dx, features * LANES, |range, dx| Inputs::<C> {
        features,
        units,
        kept: &lanes(kept)[range.start * units * C::GROUPS..range.end * units * C::GROUPS],
        shares: &shares,
        add,
        dx,
        rule: PhantomData,
    });
}

struct Inputs<'a, C> {
    features: usize,
    units: usize,
    kept: &'a [Lane],
    shares: &'a Shares<'a>,
    add: bool,
    dx: &'a mut [f32],
    rule: PhantomData<C>,
}

impl<C: Rule> Task for Inputs<'_, C> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let size = self.units * C::GROUPS;
        let count = product::gate_pairs::<S, C>(self.units);
        let mut pairs = vec![[0.0; LANES]; PLACES * count];
        let places = lanes_mut(self.dx).chunks_mut(PLACES * self.features);
        for (kept, dx) in self.kept.chunks(PLACES * size).zip(places) {
            if !self.add {
                dx.fill([0.0; LANES]);
            }
            let kept = gates::<S, C, false>(simd, kept.chunks_exact(size), count, &mut pairs);
            for (range, packed) in self.shares {
                let own = dx.chunks_exact_mut(self.features).map(|dx| &mut dx[range.clone()]);
                let mut rows: Vec<(&[Lane], &mut [Lane])> = kept.iter().copied().zip(own).collect();
                product::backward::<S, C, false>(simd, packed, range.len(), self.units, &mut rows);
            }
        }
    }
}

/// The gradients of the gates of several places, as the terms of products; `pairs` has `count` vectors for each place.
#[inline(always)]
fn gates<'a, S: Simd, C: Rule, const STATE: bool>(
    simd: S,
    places: impl Iterator<Item = &'a [Lane]>,
    count: usize,
    pairs: &'a mut [Lane],
) -> Vec<&'a [Lane]> {
    let (mut rest, mut all) = (pairs, Vec::with_capacity(PLACES));
    for kept in places {
        let (own, others) = std::mem::take(&mut rest).split_at_mut(count);
        rest = others;
        all.push(product::gate_terms::<S, C, STATE>(simd, kept, own));
    }
    all
}

/// All places of a block of rows.
struct Block<'a> {
    /// `[time, units, groups]`
    kept: &'a mut [Lane],
    /// `[units]`: the gradient of the state from the place behind.
    carry: &'a mut [Lane],
    /// `[units]`: that of the second state.
    memory: &'a mut [Lane],
    /// `[time, units]`, or nothing.
    cells: &'a [Lane],
    /// `[time, outputs]`
    y: &'a [Lane],
    dy: &'a [Lane],
    end: Lane,
}

impl Block<'_> {
    /// What a step reads and writes.
    #[inline(always)]
    fn at<C: Rule>(&mut self, sizes: &Recurrent, step: usize) -> Place<'_> {
        let Recurrent { units, outputs, first, time, .. } = *sizes;
        let (place, before) = sizes.places(step);
        let behind = (step + 1 < time).then(|| sizes.places(step + 1).0);
        let size = units * C::GROUPS;
        let (gates, kept) = two(self.kept, behind.map(|behind| behind * size), place * size, size);
        let state = |place: usize| match C::MEMORY {
            true => &self.cells[place * units..][..units],
            false => &self.y[place * outputs + first..][..units],
        };
        let before = before.map_or(&[][..], state);
        let dy = &self.dy[place * outputs + first..][..units];
        let (carry, memory) = (&mut *self.carry, &mut *self.memory);
        Place { kept, gates, carry, memory, before, now: state(place), dy, end: self.end, place }
    }
}

/// What is read and written of one block at one place, for some units.
struct Place<'a> {
    /// `[units, groups]`
    kept: &'a mut [Lane],
    /// The gradients of all gates at the place behind; nothing at the last.
    gates: &'a [Lane],
    carry: &'a mut [Lane],
    memory: &'a mut [Lane],
    /// The second state before, or the only one; nothing at the first place.
    before: &'a [Lane],
    /// The same after it.
    now: &'a [Lane],
    dy: &'a [Lane],
    end: Lane,
    place: usize,
}

impl<'a> Place<'a> {
    /// Cut by units.
    fn split<C: Rule>(self, shares: &Shares<'_>) -> Vec<Place<'a>> {
        let Place { mut kept, gates, mut carry, mut memory, before, now, dy, end, place } = self;
        let cut = |range: &std::ops::Range<usize>| {
            let count = range.len();
            Place {
                kept: kept.split_off_mut(..count * C::GROUPS).unwrap_or_default(),
                gates,
                carry: carry.split_off_mut(..count).unwrap_or_default(),
                memory: memory.split_off_mut(..count).unwrap_or_default(),
                before: if before.is_empty() { before } else { &before[range.clone()] },
                now: &now[range.clone()],
                dy: &dy[range.clone()],
                end,
                place,
            }
        };
        shares.iter().map(|(range, _)| range).map(cut).collect()
    }

    /// The units after the products.
    #[inline(always)]
    fn finish<S: Simd, C: Rule>(self, simd: S) {
        let (zero, inside) = (simd.splat(0.0), inside(simd, &self.end, self.place));
        let states = self.carry.iter_mut().zip(self.memory).zip(self.now).zip(self.dy);
        for (unit, (kept, (((carry, memory), now), dy))) in
            self.kept.chunks_exact_mut(C::GROUPS).zip(states).enumerate()
        {
            let before = match self.before.get(unit) {
                Some(before) => simd.load(before),
                None => zero,
            };
            let slope = simd.mul(inside, simd.add(simd.load(dy), simd.load(carry)));
            let second = simd.mul(inside, simd.load(memory));
            let [slope, second] = C::backward(simd, kept, [slope, second], before, simd.load(now));
            simd.store(slope, carry);
            if C::MEMORY {
                simd.store(second, memory);
            }
        }
    }
}

/// One place of some blocks, for what all shares give of the state's gradient.
#[inline(always)]
fn step<S: Simd, C: Rule>(simd: S, mut places: Vec<Place<'_>>, shares: &Shares<'_>, units: usize, pairs: &mut [Lane]) {
    // Behind the last place there are no gates.
    if places.first().is_some_and(|at| !at.gates.is_empty()) {
        let count = product::gate_pairs::<S, C>(units);
        let gates = gates::<S, C, true>(simd, places.iter().map(|at| at.gates), count, pairs);
        for (range, packed) in shares {
            let own = places.iter_mut().map(|at| &mut at.carry[range.clone()]);
            let mut rows: Vec<(&[Lane], &mut [Lane])> = gates.iter().copied().zip(own).collect();
            product::backward::<S, C, true>(simd, packed, range.len(), units, &mut rows);
        }
    }
    for at in places {
        at.finish::<S, C>(simd);
    }
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
        let Recurrent { units, time, .. } = *self.sizes;
        let mut pairs = vec![[0.0; LANES]; self.blocks.len() * product::gate_pairs::<S, C>(units)];
        for at in (0..time).rev() {
            let places = self.blocks.iter_mut().map(|block| block.at::<C>(self.sizes, at)).collect();
            step::<S, C>(simd, places, self.shares, units, &mut pairs);
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
        let units = self.sizes.units;
        let count = self.places.first().map_or(0, |place| place.carry.len());
        let mut pairs = vec![[0.0; LANES]; self.places.len() * product::gate_pairs::<S, C>(units)];
        step::<S, C>(simd, self.places, &[(0..count, self.packed)], units, &mut pairs);
    }
}
