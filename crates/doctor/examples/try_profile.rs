use lepton_core::{Cancel, Silent};
use lepton_doctor::profile::{ProfileOptions, profile};
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let cancel = Cancel::default();
    let threads = std::env::args().nth(2).map_or(2, |text| text.parse().unwrap());
    let options = ProfileOptions::new(std::path::Path::new("/tmp"), threads, &Silent, &cancel);
    let start = std::time::Instant::now();
    let profile = profile(std::path::Path::new(&path), &options).unwrap();
    println!(
        "{} rows, {} duplicates, {} ragged, {:.2} s",
        profile.rows,
        profile.duplicates.count,
        profile.ragged.count,
        start.elapsed().as_secs_f64()
    );
    for column in &profile.columns {
        println!(
            "{:24} missing {:6} numbers {:7} texts {:7} distinct {}{} q50 {:?} min {:?} max {:?} {:?} {:?}",
            column.name,
            column.missing.count,
            column.numbers.count,
            column.texts.count,
            column.distinct,
            if column.distinct_is_exact { "" } else { "~" },
            column.distribution.quantile(0.5),
            column.distribution.min(),
            column.distribution.max(),
            column.values.first().map(|v| (&v.value, v.count)),
            column.meanings.iter().map(|m| (m.meaning, m.count)).collect::<Vec<_>>()
        );
    }
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap()
    );
}
