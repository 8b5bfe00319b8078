//! The table that shows a network before it trains.

use crate::Architecture;
use crate::plan::Plan;
use lepton_core::thousands;
use serde::Serialize;
use std::fmt;

/// One line of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SummaryRow {
    /// The layer's name.
    pub name: String,
    /// The layer's kind.
    pub kind: &'static str,
    /// The output of one row, without the batch.
    pub output_shape: Vec<usize>,
    /// Numbers that training learns.
    pub parameters: u64,
    /// Floating-point operations of one row's forward pass; a multiply-add counts as two.
    pub flops: u64,
}

/// All layers of an Architecture with their sizes. `Display` prints a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The Architecture's name.
    pub name: String,
    /// The input of one row.
    pub input_shape: Vec<usize>,
    /// One line per layer.
    pub rows: Vec<SummaryRow>,
    /// Sum of the column.
    pub parameters: u64,
    /// Sum of the column.
    pub flops: u64,
}

impl Summary {
    pub(crate) fn of(architecture: &Architecture, plan: &Plan) -> Summary {
        let rows: Vec<SummaryRow> = plan
            .nodes
            .iter()
            .map(|node| SummaryRow {
                name: node.name.clone(),
                kind: node.layer.kind(),
                output_shape: node.shape.clone(),
                parameters: node.parameters.iter().filter(|spec| spec.trained).map(|spec| spec.len() as u64).sum(),
                flops: node.flops,
            })
            .collect();
        Summary {
            name: architecture.name.clone(),
            input_shape: architecture.input.shape.clone(),
            parameters: rows.iter().map(|row| row.parameters).sum(),
            flops: rows.iter().fold(0, |sum, row| sum.saturating_add(row.flops)),
            rows,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![["layer", "kind", "output", "parameters", "FLOPs"].map(str::to_owned)];
        lines.push(["input".into(), String::new(), shape(&self.input_shape), String::new(), String::new()]);
        for row in &self.rows {
            lines.push([
                row.name.clone(),
                row.kind.to_owned(),
                shape(&row.output_shape),
                thousands(row.parameters),
                thousands(row.flops),
            ]);
        }
        lines.push(["total".into(), String::new(), String::new(), thousands(self.parameters), thousands(self.flops)]);
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let [name, kind, output, parameters, flops] = [0, 1, 2, 3, 4].map(width);
        for [a, b, c, d, e] in &lines {
            let line = format!("{a:name$}  {b:kind$}  {c:output$}  {d:>parameters$}  {e:>flops$}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn shape(sides: &[usize]) -> String {
    sides.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}
