//! One pass over a table: each chunk is summarised on some thread (`part`), and the summaries are joined in the order
//! of the file (`column`), so the profile is the same with any number of threads.

mod beginning;
mod column;
mod duplicates;
mod extremes;
mod identifier;
mod meaning;
mod outliers;
mod part;
mod rows;
mod sample;
mod shape;
mod values;
mod view;

pub use beginning::Beginning;
pub use column::{Characters, ColumnProfile};
pub(crate) use duplicates::RowHashes;
pub use duplicates::{DuplicateGroup, Duplicates};
pub use extremes::{Extreme, Extremes};
pub(crate) use meaning::is_missing_word;
pub use meaning::{Meaning, MeaningCount, MeaningExample};
pub use outliers::Outliers;
pub(crate) use rows::MOST_ROWS;
pub use rows::RowList;
pub use sample::Sample;
pub use shape::ShapeCount;
pub use values::ValueCount;
pub use view::{ColumnView, Histogram, NumberView, SemanticType, short_number};

use column::{Column, Room};
use lepton_core::{Cancel, Limits, Progress, Result};
use lepton_data::SourceFile;
use lepton_data::scan::{
    Cell, Chunk, Position, Ragged, RaggedRow, Scan, ScanOptions, TableFormat, Work, check_columns,
};
use part::Part;
use sample::Reservoir;
use std::collections::HashMap;
use std::path::Path;

/// How a table is profiled.
pub struct ProfileOptions<'a> {
    /// How it is read. Ragged rows are kept and listed whatever this says.
    pub scan: ScanOptions,
    /// Threads; at least one.
    pub threads: usize,
    /// A folder for hashes of rows that do not fit into [`ProfileOptions::memory_bytes`]. Nothing stays there.
    pub scratch: &'a Path,
    /// Memory for the search for duplicate rows and for the values that are counted, each.
    pub memory_bytes: usize,
    /// Memory for the first rows of the table, which are compared with each other; 0 keeps none.
    pub beginning_bytes: usize,
    /// Told of the bytes that were read.
    pub progress: &'a dyn Progress,
    /// Asked between two pieces of the file.
    pub cancel: &'a Cancel,
}

impl<'a> ProfileOptions<'a> {
    /// The defaults: 128 MiB, no rows kept, the limits as they are.
    pub fn new(
        scratch: &'a Path,
        threads: usize,
        progress: &'a dyn Progress,
        cancel: &'a Cancel,
    ) -> ProfileOptions<'a> {
        let scan = ScanOptions { limits: Limits::default(), ..ScanOptions::default() };
        ProfileOptions { scan, threads, scratch, memory_bytes: 128 << 20, beginning_bytes: 0, progress, cancel }
    }
}

/// What a pass over a table found.
pub struct Profile {
    /// The file, with its hash.
    pub source: SourceFile,
    /// Rows.
    pub rows: u64,
    /// Columns in the order of the file (of JSON: of their first appearance).
    pub columns: Vec<ColumnProfile>,
    /// Rows that are there more than once, cell by cell.
    pub duplicates: Duplicates,
    /// Rows with more or fewer fields than the header, and how many fields the first of them have.
    pub ragged: RowList,
    /// Fields of the first ragged rows, in the order of [`Profile::ragged`].
    pub ragged_fields: Vec<usize>,
    /// Some rows, drawn evenly from all.
    pub sample: Sample,
    /// The first rows.
    pub beginning: Beginning,
    /// The file's format.
    pub format: TableFormat,
    /// The delimiter of a CSV.
    pub delimiter: Option<char>,
}

/// Profiles a file. The result depends on its bytes and the options alone, not on the number of threads.
///
/// # Errors
/// Those of [`Scan::open`] and [`Scan::fold`], and [`lepton_core::ErrorCode::StorageFull`] or
/// [`lepton_core::ErrorCode::Io`] when hashes do not fit into the scratch folder.
pub fn profile(path: &Path, options: &ProfileOptions<'_>) -> Result<Profile> {
    let scan_options = ScanOptions { ragged: Ragged::Keep, ..options.scan.clone() };
    let scan = Scan::open(path, &scan_options)?;
    let format = scan.format();
    let delimiter = scan.delimiter().map(char::from);
    let mut joined = Joined {
        rows: 0,
        columns: Vec::new(),
        places: HashMap::new(),
        hashes: RowHashes::new(options.scratch, options.memory_bytes),
        ragged: RowList::default(),
        ragged_fields: Vec::new(),
        sample: Reservoir::new(options.memory_bytes / 8),
        beginning: Beginning::default(),
    };
    let how = Work { threads: options.threads, progress: options.progress, cancel: options.cancel };
    let work = |chunk: Chunk| Ok(Part::of(chunk, options.memory_bytes));
    let source = scan.fold(&how, work, |position, part| joined.join(position, part, options))?;
    let (rows, room) = (joined.rows, Room::of(joined.columns.len(), options.memory_bytes));
    Ok(Profile {
        format,
        source,
        rows,
        columns: joined.columns.into_iter().map(|column| column.finish(room)).collect(),
        duplicates: joined.hashes.find(options.threads)?,
        ragged: joined.ragged,
        ragged_fields: joined.ragged_fields,
        sample: joined.sample.finish(rows),
        beginning: joined.beginning,
        delimiter,
    })
}

/// What the chunks so far have in sum.
struct Joined<'a> {
    rows: u64,
    columns: Vec<Column>,
    places: HashMap<String, usize>,
    hashes: RowHashes<'a>,
    ragged: RowList,
    ragged_fields: Vec<usize>,
    sample: Reservoir,
    beginning: Beginning,
}

impl Joined<'_> {
    fn join(&mut self, position: Position, part: Part, options: &ProfileOptions<'_>) -> Result<()> {
        let first = position.row;
        self.hashes.add(first, &part.hashes)?;
        for &RaggedRow { row, fields } in part.chunk.ragged() {
            if self.ragged.push(first + row as u64) {
                self.ragged_fields.push(fields);
            }
        }
        // For each column of the table, that of the chunk.
        let mut places = vec![None; self.columns.len()];
        for (index, (name, summary)) in part.chunk.names().iter().zip(part.columns).enumerate() {
            let place = match self.places.get(name) {
                Some(place) => *place,
                None => {
                    let place = self.columns.len();
                    self.places.insert(name.clone(), place);
                    // A column that was not there in earlier rows was missing in them.
                    self.columns.push(Column::new(name.clone(), first));
                    places.push(None);
                    place
                }
            };
            places[place] = Some(index);
            let room = Room::of(self.columns.len().max(part.chunk.names().len()), options.memory_bytes);
            self.columns[place].add(first, summary, part.chunk.column(index), room);
        }
        for (column, _) in self.columns.iter_mut().zip(&places).filter(|(_, place)| place.is_none()) {
            column.add_missing(first, part.chunk.rows());
        }
        check_columns(self.columns.len(), &options.scan.limits)?;
        self.rows += part.chunk.rows() as u64;
        while let Some(row) = self.sample.next_before(self.rows) {
            let cell = |place: &Option<usize>| match place {
                Some(place) => part.chunk.column(*place).cell((row - first) as usize),
                None => Cell::MISSING,
            };
            self.sample.take(places.iter().map(cell));
        }
        if options.beginning_bytes > 0 {
            self.beginning.add(part.chunk, places, options.beginning_bytes);
        }
        Ok(())
    }
}
