//! Confident learning: which rows a model is confident to place in another class than their label's.
//! C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70 (2021).
//! The numbers are those of the authors' library cleanlab, which the tests hold them against.

/// What is close enough to a threshold.
const NEARLY: f64 = 1e-6;

/// Rows whose label and class the model is confident of, counted.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfidentJoint {
    classes: usize,
    /// Given label by row, true class by column.
    counts: Vec<u64>,
    /// The class of each row that the model is confident of.
    confident: Vec<Option<u32>>,
    /// How many rows have each label.
    labels: Vec<u64>,
}

impl ConfidentJoint {
    /// Counts rows of `probabilities` (a row of classes each, out of fold) with their given labels. A row counts where
    /// the probability of some class is at least the mean that the class has among rows of its label.
    pub fn of(probabilities: &[f32], labels: &[u32], classes: usize) -> ConfidentJoint {
        let thresholds = thresholds(probabilities, labels, classes);
        let guess = |row: &[f32]| -> Option<u32> {
            let confident = |class: &usize| f64::from(row[*class]) >= thresholds[*class] - NEARLY;
            let mut above = (0..classes).filter(confident);
            let first = above.next()?;
            let class = if above.next().is_some() { largest(row) } else { first };
            Some(class as u32)
        };
        let confident: Vec<Option<u32>> = probabilities.chunks_exact(classes).map(guess).collect();
        let mut counts = vec![0; classes * classes];
        let mut counted = vec![0; classes];
        for (label, class) in labels.iter().zip(&confident) {
            counted[*label as usize] += 1;
            if let Some(class) = class {
                counts[*label as usize * classes + *class as usize] += 1;
            }
        }
        // In every class at least one label is right.
        (0..classes).for_each(|class| counts[class * classes + class] = counts[class * classes + class].max(1));
        ConfidentJoint { classes, counts, confident, labels: counted }
    }

    /// How many rows have the label `given` and are confidently of the class `class`.
    pub fn count(&self, given: usize, class: usize) -> u64 {
        self.counts[given * self.classes + class]
    }

    /// The class of a row where the model is confident of one that its label does not say.
    pub fn off_diagonal(&self, row: usize, label: u32) -> Option<u32> {
        self.confident[row].filter(|class| *class != label)
    }

    /// The counts scaled so that each label has as many rows as it was given to: given label by row, class by column.
    pub fn calibrated(&self) -> Vec<f64> {
        let lines = self.counts.chunks_exact(self.classes).zip(&self.labels);
        let scaled: Vec<f64> = lines
            .flat_map(|(line, label)| {
                let sum = line.iter().sum::<u64>().max(1) as f64;
                line.iter().map(move |count| *count as f64 / sum * *label as f64)
            })
            .collect();
        let (sum, all) = (scaled.iter().sum::<f64>(), self.labels.iter().sum::<u64>() as f64);
        scaled.into_iter().map(|count| if sum > 0.0 { count / sum * all } else { 0.0 }).collect()
    }
}

/// For each class, the mean of its probability among the rows of its label; 2 for a class without rows.
pub fn thresholds(probabilities: &[f32], labels: &[u32], classes: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0u64); classes];
    for (row, label) in probabilities.chunks_exact(classes).zip(labels) {
        let (sum, count) = &mut sums[*label as usize];
        *sum += f64::from(row[*label as usize]);
        *count += 1;
    }
    let mean = |(sum, count): (f64, u64)| if count == 0 { 2.0 } else { (sum / count as f64).max(2.0 * NEARLY) };
    sums.into_iter().map(mean).collect()
}

/// How good a label is, from 0 to 1: half of one more than its probability less the largest of the other classes'.
pub fn normalised_margin(row: &[f32], label: u32) -> f64 {
    let others = row.iter().enumerate().filter(|(class, _)| *class != label as usize);
    let best = others.map(|(_, value)| f64::from(*value)).fold(0.0, f64::max);
    (f64::from(row[label as usize]) - best + 1.0) / 2.0
}

/// The place of the largest value; of equal ones the first.
pub(super) fn largest(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (place, value)| if *value > row[best] { place } else { best })
}
