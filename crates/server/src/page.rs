//! The page at `/`: which models are served, and how to ask them. No scripts, nothing loaded from anywhere.

use crate::http::Answer;
use lepton_core::{ColumnKind, Manifest, Schema};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}pre{background:#f3f4f6;padding:.8rem;border-radius:.4rem;overflow-x:auto}\
a{color:#0b57d0}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#15181c}pre{background:#22262c}a{color:#8ab4f8}}";

/// SHA-256 of [`STYLE`] in base64: the only style that the policy lets a browser apply.
const STYLE_HASH: &str = "MvcH4GaQ1VVNc4TnOkFtCjqAKnYGpheK0NXf7zyoYHs=";

/// One model of the page.
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u64,
    pub(crate) engine: &'a str,
    pub(crate) manifest: &'a Manifest,
}

/// The page. `host` is where the examples point to.
pub(crate) fn page(host: &str, models: &[Listed<'_>]) -> Answer {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Lepton</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body><h1>Lepton</h1>\
         <p>{} served. See <a href=\"/openapi.json\">openapi.json</a>, <a href=\"/metrics\">metrics</a> and \
         <a href=\"/v1/models\">models</a>.</p>",
        if models.len() == 1 { "1 model is".to_owned() } else { format!("{} models are", models.len()) }
    );
    for model in models {
        let task = model.manifest.task.map_or("ONNX model without a task", |task| task.name());
        let _ = write!(
            html,
            "<h2>{} <small>version {}</small></h2><p>{task}, engine {}</p>",
            escape(model.name),
            model.version,
            escape(model.engine)
        );
        for example in examples(host, model) {
            let _ = write!(html, "<pre>{}</pre>", escape(&example));
        }
    }
    html.push_str("</body></html>");
    Answer::new(200, "text/html; charset=utf-8", html).header(
        "content-security-policy",
        format!(
            "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
    )
}

fn examples(host: &str, model: &Listed<'_>) -> Vec<String> {
    let name = model.name;
    let mut examples = Vec::new();
    let columns = &model.manifest.inputs.columns;
    if let [only] = columns.as_slice()
        && only.kind == ColumnKind::Image
    {
        examples.push(format!(
            "curl http://{host}/v1/predict/{name} -H 'Content-Type: image/png' --data-binary @picture.png"
        ));
    } else if !columns.is_empty() {
        let row = shell_quoted(&example_row(&model.manifest.inputs).to_string());
        examples.push(format!("curl http://{host}/v1/predict/{name} -H 'Content-Type: application/json' -d {row}"));
        examples
            .push(format!("curl http://{host}/v1/predict/{name} -H 'Content-Type: text/csv' --data-binary @rows.csv"));
    }
    examples.push(format!("curl http://{host}/v2/models/{name}"));
    examples
}

/// A row with a stand-in for each column.
fn example_row(schema: &Schema) -> Value {
    let value = |kind| match kind {
        ColumnKind::Number => json!(1.0),
        ColumnKind::Category | ColumnKind::Text => json!("..."),
        ColumnKind::Image => json!({"b64": "..."}),
        ColumnKind::Series => json!([0.5, 1.0, 1.5]),
        // No model takes marks yet.
        ColumnKind::Boxes | ColumnKind::Masks | ColumnKind::KeyPoints => Value::Null,
    };
    Value::Object(schema.columns.iter().map(|column| (column.name.clone(), value(column.kind))).collect::<Map<_, _>>())
}

fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use lepton_core::{Column, Digest};

    fn base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let sextet = (word >> (18 - 6 * place)) as usize & 63;
                text.push(if place <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
            }
        }
        text
    }

    #[test]
    fn the_policy_lets_the_style_through() {
        assert_eq!(base64(Digest::of(STYLE).as_bytes()), STYLE_HASH);
    }

    #[test]
    fn a_hostile_column_name_stays_text() {
        let schema = Schema {
            columns: vec![Column { name: "</pre><script>'".into(), kind: ColumnKind::Number, nullable: false }],
        };
        let row = escape(&shell_quoted(&example_row(&schema).to_string()));
        assert!(!row.contains('<') && row.contains("&lt;script&gt;"));
    }
}
