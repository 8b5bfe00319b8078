//! The figures of a report on image classification: confusion matrix, scores by class, calibration, a grid of
//! 25 pictures across the split, and a grid of the surest mistakes.

use arrow_array::{Array, RecordBatch};
use lepton_core::image::{self, ImageColumn};
use lepton_core::{Error, ErrorCode, Figure, PictureCell, Result};
use lepton_train::{Classified, EvaluationInput, calibration, class_table, confusion_matrix};

/// Pictures of a grid: five rows of five.
const GRID: usize = 25;

pub(super) fn figures(input: &EvaluationInput<'_>) -> Result<Vec<Figure>> {
    let classified = Classified::from_logits(input.outputs, input.targets)?;
    if classified.classes() != input.target.labels().len() || classified.rows() != input.rows.num_rows() {
        return Err(Error::internal(format!(
            "{} rows of {} classes were evaluated, the data has {} rows of {} classes",
            classified.rows(),
            classified.classes(),
            input.rows.num_rows(),
            input.target.labels().len()
        )));
    }
    let pictures = picture_column(input.rows)?;
    let mut figures = vec![
        confusion_matrix(&classified, input.target.labels()),
        class_table(&classified, input.target.labels()),
        calibration(&classified),
        grid("Pictures of the test split", &spread(classified.rows()), &classified, &pictures, input.target.labels()),
    ];
    let mistakes = surest_mistakes(&classified);
    if !mistakes.is_empty() {
        figures.push(grid("The surest mistakes", &mistakes, &classified, &pictures, input.target.labels()));
    }
    Ok(figures)
}

fn picture_column(rows: &RecordBatch) -> Result<ImageColumn<'_>> {
    let column = rows.columns().iter().find(|column| column.data_type() == &image::data_type());
    let column = column.ok_or_else(|| Error::new(ErrorCode::BadData, "the rows hold no pictures"))?;
    ImageColumn::new(column)
}

fn grid(title: &str, rows: &[usize], classified: &Classified, pictures: &ImageColumn<'_>, labels: &[String]) -> Figure {
    let cell = |&row: &usize| {
        let picture = pictures.get(row)?;
        Some(PictureCell {
            image: image::Image {
                height: picture.height,
                width: picture.width,
                channels: picture.channels,
                pixels: picture.pixels.to_vec(),
            },
            truth: labels[classified.truth()[row]].clone(),
            predicted: labels[classified.predicted()[row]].clone(),
            probability: classified.confidence(row),
        })
    };
    Figure::PredictionGrid { title: title.to_owned(), cells: rows.iter().filter_map(cell).collect() }
}

/// Up to 25 rows, spread evenly: where rows are sorted by class, every class is seen.
fn spread(rows: usize) -> Vec<usize> {
    let count = rows.min(GRID);
    (0..count).map(|index| index * rows / count).collect()
}

/// Up to 25 rows that are wrong, those with the largest probability first.
fn surest_mistakes(classified: &Classified) -> Vec<usize> {
    let wrong = |&row: &usize| classified.truth()[row] != classified.predicted()[row];
    let mut rows: Vec<usize> = (0..classified.rows()).filter(wrong).collect();
    rows.sort_by(|&a, &b| classified.confidence(b).total_cmp(&classified.confidence(a)));
    rows.truncate(GRID);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::ArrayRef;
    use lepton_core::Tensor;
    use lepton_core::image::{Image, ImageBuilder};
    use lepton_train::Target;

    /// Sixty pictures of one pixel whose value is the row; every seventh is called wrong, surer each time.
    fn drawn() -> (RecordBatch, Tensor, Tensor) {
        let mut builder = ImageBuilder::default();
        let (mut logits, mut truth) = (Vec::new(), Vec::new());
        for row in 0..60u8 {
            builder.push(Some(Image { height: 1, width: 1, channels: 1, pixels: vec![row] }.as_ref()));
            let class = row % 2;
            let called = if row % 7 == 3 { 1 - class } else { class };
            let sure = 1.0 + f32::from(row) / 10.0;
            logits.extend(if called == 0 { [sure, 0.0] } else { [0.0, sure] });
            truth.push(i64::from(class));
        }
        let column: ArrayRef = builder.finish();
        let rows = RecordBatch::try_from_iter([("picture", column)]).unwrap();
        (rows, Tensor::float32(vec![60, 2], logits).unwrap(), Tensor::int64(vec![60], truth).unwrap())
    }

    fn cells(figure: &Figure) -> &[PictureCell] {
        let Figure::PredictionGrid { cells, .. } = figure else { panic!("not a grid") };
        cells
    }

    #[test]
    fn the_grids_show_25_pictures_and_the_surest_mistakes() {
        let (rows, outputs, targets) = drawn();
        let labels = ["even".to_owned(), "odd".to_owned()];
        let input =
            EvaluationInput { outputs: &outputs, targets: &targets, target: Target::Classes(&labels), rows: &rows };
        let figures = figures(&input).unwrap();
        let grid = cells(&figures[3]);
        assert_eq!(grid.len(), 25);
        assert_eq!((grid[0].image.pixels[0], grid[24].image.pixels[0]), (0, 57));
        assert_eq!((grid[1].truth.as_str(), grid[1].predicted.as_str()), ("even", "even"));
        assert!((grid[0].probability - 1.0 / (1.0 + (-1.0f64).exp())).abs() < 1e-6);
        let mistakes: Vec<u8> = cells(&figures[4]).iter().map(|cell| cell.image.pixels[0]).collect();
        assert_eq!(mistakes, [59, 52, 45, 38, 31, 24, 17, 10, 3]);
    }

    #[test]
    fn rows_that_do_not_match_are_refused() {
        let (rows, outputs, targets) = drawn();
        let labels = ["one".to_owned()];
        let input =
            EvaluationInput { outputs: &outputs, targets: &targets, target: Target::Classes(&labels), rows: &rows };
        assert_eq!(figures(&input).unwrap_err().code(), ErrorCode::Internal);
        let few = rows.slice(0, 10);
        let labels = ["even".to_owned(), "odd".to_owned()];
        let input =
            EvaluationInput { outputs: &outputs, targets: &targets, target: Target::Classes(&labels), rows: &few };
        assert_eq!(figures(&input).unwrap_err().code(), ErrorCode::Internal);
    }
}
