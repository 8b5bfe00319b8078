//! The Prometheus text format, version 0.0.4.

use std::fmt::Write as _;

/// Text under construction. Write each family's head once, then its samples.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

impl Exposition {
    /// `HELP` and `TYPE` of a family.
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample.
    pub(crate) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let value = if value == f64::INFINITY {
            "+Inf".to_owned()
        } else if value == f64::NEG_INFINITY {
            "-Inf".to_owned()
        } else {
            value.to_string()
        };
        let _ = writeln!(self.text, " {value}");
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_cannot_break_out() {
        let mut out = Exposition::default();
        out.family("a_total", "counter", "All of a.");
        out.sample("a_total", &[("label", "x\"} 1\ny\\"), ("m", "é")], 3.0);
        out.sample("a_total", &[], 0.5);
        assert_eq!(
            out.into_text(),
            "# HELP a_total All of a.\n# TYPE a_total counter\na_total{label=\"x\\\"} 1\\ny\\\\\",m=\"é\"} 3\na_total 0.5\n"
        );
    }
}
