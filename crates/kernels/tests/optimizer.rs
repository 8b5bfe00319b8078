//! The rules give the same bits on any number of threads and with any instructions.

use lepton_kernels::{LANES, Level, Linear, Precision, Rule, Workers, blocks};

/// Each rule, and how many buffers it has.
fn rules() -> [(Rule, usize); 4] {
    let adam = Rule::Adam {
        step_size: 1e-2,
        root_correction: 3.0,
        first: [0.9, 0.1],
        second: [0.999, 0.001],
        epsilon: 1e-8,
        shrink: 0.99,
        pull: 0.01,
    };
    [
        (adam, 2),
        (Rule::Rmsprop { rate: 1e-2, square: [0.9, 0.1], epsilon: 1e-8, pull: 0.01 }, 1),
        (Rule::Lion { rate: 1e-2, betas: [0.9, 0.99], shrink: 0.99 }, 1),
        (Rule::Sgd { rate: 1e-2, keep: 0.9, pull: 0.01 }, 1),
    ]
}

#[test]
fn all_instances_give_the_same_bits() {
    for (rule, count) in rules() {
        for length in [1, 15, 16, 17, 1000, 4099].into_iter().filter(|length| !cfg!(miri) || *length < 1000) {
            let gradient: Vec<f32> = (0..length).map(|at| (at as f32 * 0.37).sin()).collect();
            let start: Vec<f32> = (0..length).map(|at| (at as f32 * 0.11).cos()).collect();
            let (mut reference, mut memory) = (start.clone(), vec![vec![0.0; length]; count]);
            for _ in 0..3 {
                let mut buffers: Vec<&mut [f32]> = memory.iter_mut().map(|buffer| &mut buffer[..]).collect();
                rule.update_piece(&mut reference, &gradient, &mut buffers);
            }
            assert_ne!(reference, start);
            for (threads, level) in [(1, Level::Portable), (2, Level::detect()), (3, Level::detect())] {
                let workers = Workers::new(threads, level).unwrap();
                let (mut weights, mut own) = (start.clone(), vec![vec![0.0; length]; count]);
                for _ in 0..3 {
                    let mut buffers: Vec<&mut [f32]> = own.iter_mut().map(|buffer| &mut buffer[..]).collect();
                    rule.update(&workers, &mut weights, &gradient, &mut buffers);
                }
                assert_eq!((&weights, &own), (&reference, &memory), "{rule:?} {length} {threads} {}", level.name());
            }
        }
    }
}

/// With features that are no multiple of a vector, and units that are none of a tile.
#[test]
fn a_step_while_gradients_are_computed_gives_the_same_bits() {
    let number = |at: usize| (at as f32 * 0.37).sin();
    // Miri takes ten thousand times as long.
    let all = [(1003, 67, 20), (83, 4999, 3), (517, 130, 128), (16, 4096, 48)];
    let few = [(17, 5, 17)];
    for &(features, units, rows) in if cfg!(miri) { &few[..] } else { &all } {
        let sizes = Linear { features, units };
        assert!(cfg!(miri) || sizes.updates_at_once(blocks(rows)) && !sizes.updates_at_once(9));
        let x: Vec<f32> = (0..blocks(rows) * features * LANES).map(number).collect();
        let dy: Vec<f32> = (0..blocks(rows) * units * LANES).map(|at| number(at + 7)).collect();
        let start: Vec<f32> = (0..features * units).map(|at| number(at + 13)).collect();
        for (rule, count) in rules().into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            for (threads, level) in Level::all().into_iter().flat_map(|level| [(1, level), (3, level)]) {
                for precision in [Precision::Float32, Precision::Bf16] {
                    let workers = Workers::new(threads, level).unwrap().with_precision(precision);
                    let (mut gradient, mut bias) = (start.clone(), vec![0.0; units]);
                    let both = [(); 2].map(|()| (start.clone(), vec![vec![0.0; start.len()]; count]));
                    let [(mut weights, mut memory), (mut ours, mut own)] = both;
                    for _ in 0..2 {
                        sizes.backward_weights(&workers, &x, &dy, &mut gradient, Some(&mut bias));
                        let mut buffers: Vec<&mut [f32]> = memory.iter_mut().map(|buffer| &mut buffer[..]).collect();
                        rule.update(&workers, &mut weights, &gradient, &mut buffers);
                        let mut buffers: Vec<&mut [f32]> = own.iter_mut().map(|buffer| &mut buffer[..]).collect();
                        sizes.update_weights(&workers, &x, &dy, &rule, &mut ours, &mut buffers);
                    }
                    assert!(ours == weights && own == memory, "{rule:?} {sizes:?} {threads} {}", level.name());
                    let mut alone = vec![0.0; units];
                    sizes.backward_bias(&workers, &dy, &mut alone);
                    assert_eq!(alone, bias);
                }
            }
        }
    }
}
