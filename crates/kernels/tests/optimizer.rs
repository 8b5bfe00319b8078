//! The rules give the same bits on any number of threads and with any instructions.

use lepton_kernels::{Level, Rule, Workers};

#[test]
fn all_instances_give_the_same_bits() {
    let adam = Rule::Adam {
        step_size: 1e-2,
        root_correction: 3.0,
        first: [0.9, 0.1],
        second: [0.999, 0.001],
        epsilon: 1e-8,
        shrink: 0.99,
        pull: 0.01,
    };
    let rules = [
        (adam, 2),
        (Rule::Rmsprop { rate: 1e-2, square: [0.9, 0.1], epsilon: 1e-8, pull: 0.01 }, 1),
        (Rule::Lion { rate: 1e-2, betas: [0.9, 0.99], shrink: 0.99 }, 1),
        (Rule::Sgd { rate: 1e-2, keep: 0.9, pull: 0.01 }, 1),
    ];
    for (rule, count) in rules {
        for length in [1, 15, 16, 17, 1000, 4099] {
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
