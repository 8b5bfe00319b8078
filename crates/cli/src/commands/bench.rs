//! `lepton bench machine`.

use crate::terminal::{self, Table};
use lepton_core::Result;
use lepton_kernels::{Ceiling, Level, Workers};
use serde_json::json;
use std::num::NonZeroUsize;

/// The ceilings of one thread and, where there are more, of all: a rate of a training step or of a model is a share of them.
pub(super) fn machine(threads: Option<NonZeroUsize>, as_json: bool) -> Result<u8> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let counts = if threads == 1 { vec![1] } else { vec![1, threads] };
    let level = Level::detect();
    let measure = |count: &usize| Ceiling::measure(&Workers::new(*count, level)?);
    let ceilings = counts.iter().map(measure).collect::<Result<Vec<Ceiling>>>()?;
    let environment = lepton_pipeline::environment(threads, &format!("lepton-kernels (cpu, {})", level.name()));
    if as_json {
        let rows = ceilings.iter().map(|ceiling| {
            let Ceiling { threads, gflops, bf16_gflops, gigabytes } = ceiling;
            json!({
                "threads": threads,
                "gflops": gflops,
                "bf16_gflops": bf16_gflops,
                "gigabytes_per_second": gigabytes,
            })
        });
        terminal::print_json(&json!({ "machine": environment, "ceilings": rows.collect::<Vec<_>>() }))?;
        return Ok(0);
    }
    let mut table = Table::new(&["threads", "GFLOP/s, float32", "GFLOP/s, bfloat16", "GB/s, memory"]);
    for Ceiling { threads, gflops, bf16_gflops, gigabytes } in &ceilings {
        let bf16 = bf16_gflops.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}"));
        table.row([&threads.to_string(), &format!("{gflops:.1}"), &bf16, &format!("{gigabytes:.1}")]);
    }
    terminal::print(&format!("{}, {}, {}\n{}", environment.processor, environment.system, level.name(), table.text()))?;
    Ok(0)
}
