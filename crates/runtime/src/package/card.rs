//! The model card: `README.md` of a package, written from the manifest for a person who has never seen it.

use lepton_core::{ColumnKind, Decoder, Lineage, Manifest, MetricsBySplit};
use std::fmt::Write;

/// The card's Markdown.
pub(super) fn model_card(manifest: &Manifest) -> String {
    let mut card = String::new();
    let mut line = |text: String| {
        card.push_str(&text);
        card.push('\n');
    };
    line(format!("# {}\n", plain(&manifest.name)));
    line(match manifest.task {
        Some(task) => format!("A model for **{task}**, as a Lepton package. Served file: `{}`.\n", manifest.served),
        None => format!("An ONNX model, as a Lepton package. Served file: `{}`.\n", manifest.served),
    });
    line(faces(manifest));
    line(metrics(&manifest.metrics));
    if let Some(int8) = &manifest.int8 {
        line("## INT8\n".to_owned());
        line(format!("{}: {}\n", if int8.kept { "Kept" } else { "Not kept" }, plain(&int8.reason)));
    }
    if let Some(lineage) = &manifest.lineage {
        line(origin(lineage));
    }
    line(usage(manifest));
    card
}

fn faces(manifest: &Manifest) -> String {
    let mut text = "## Inputs and outputs\n\n".to_owned();
    if !manifest.inputs.columns.is_empty() {
        text.push_str("| column | kind | may be missing |\n| --- | --- | --- |\n");
        for column in &manifest.inputs.columns {
            let kind = match column.kind {
                ColumnKind::Number => "number",
                ColumnKind::Category => "category",
                ColumnKind::Text => "text",
                ColumnKind::Image => "picture",
                ColumnKind::Series => "series",
                ColumnKind::Boxes => "boxes",
                ColumnKind::Masks => "masks",
                ColumnKind::KeyPoints => "key points",
            };
            let missing = if column.nullable { "yes" } else { "no" };
            let _ = writeln!(text, "| {} | {kind} | {missing} |", plain(&column.name));
        }
        text.push('\n');
    }
    text.push_str("| tensor | | dtype | shape (-1 is free) |\n| --- | --- | --- | --- |\n");
    let sides = [("input", &manifest.signature.inputs), ("output", &manifest.signature.outputs)];
    for (side, specs) in sides {
        for spec in specs {
            let _ = writeln!(text, "| {} | {side} | {} | {:?} |", plain(&spec.name), spec.dtype, spec.shape);
        }
    }
    let names = match &manifest.decoder {
        Decoder::Classification { labels, .. } => Some(("Classes", labels)),
        Decoder::Labels { labels, .. } => Some(("Labels, of which several may hold", labels)),
        Decoder::Regression { .. } | Decoder::Forecast { .. } | Decoder::Raw => None,
    };
    if let Some((what, labels)) = names {
        let shown: Vec<_> = labels.iter().take(50).map(|label| plain(label)).collect();
        let more = if labels.len() > 50 { format!(" and {} more", labels.len() - 50) } else { String::new() };
        let _ = writeln!(text, "\n{what} ({}): {}{more}", labels.len(), shown.join(", "));
    }
    text
}

fn metrics(metrics: &MetricsBySplit) -> String {
    let mut text = "## Metrics of the served file\n\n".to_owned();
    if metrics.is_empty() {
        return text + "None were recorded.\n";
    }
    text.push_str("| split | metric | value |\n| --- | --- | --- |\n");
    for (split, values) in metrics {
        for (metric, value) in values {
            let _ = writeln!(text, "| {} | {} | {value:.6} |", plain(split), plain(metric));
        }
    }
    text
}

fn origin(lineage: &Lineage) -> String {
    let machine = &lineage.environment;
    let rows = [
        ("dataset", lineage.dataset.clone()),
        ("dataset sha256", lineage.dataset_sha256.hex()),
        ("prepared sha256", lineage.prepared_sha256.hex()),
        ("recipe sha256", lineage.recipe_sha256.hex()),
        ("settings sha256", lineage.settings_sha256.hex()),
        ("seed", lineage.seed.0.to_string()),
        ("command", lineage.command.clone()),
        ("run", lineage.run.clone()),
        ("created", lineage.created.clone()),
        ("Lepton", machine.lepton.clone()),
        ("machine", format!("{}, {}, {} threads", machine.system, machine.processor, machine.threads)),
        ("trained with", machine.backend.clone()),
    ];
    let mut text = "## Where it came from\n\n| | |\n| --- | --- |\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {} |", plain(&value));
    }
    text
}

fn usage(manifest: &Manifest) -> String {
    let example = if manifest.inputs.of_kind(ColumnKind::Image).next().is_some() { "picture.png" } else { "row.json" };
    let served = &manifest.served;
    let recipe = if manifest.inputs.columns.is_empty() {
        String::new()
    } else {
        "; what makes its input tensor from raw rows is written down in `recipe.json`".to_owned()
    };
    format!(
        "## How to use it\n\n```sh\nlepton model verify .        # every file against its hash\nlepton predict . {example}\n\
         lepton serve .\n```\n\nAny ONNX runtime reads `{served}`{recipe}.\n"
    )
}

/// Text from data inside Markdown: nothing in it is markup, and it stays on its line.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '~' | '&' => {
                safe.push('\\');
                safe.push(character);
            }
            character if character.is_control() => safe.push(' '),
            character => safe.push(character),
        }
    }
    safe
}
