//! Rows that are there more than once, by 128-bit hashes of all their cells, sorted in partitions that go to files
//! when they do not fit into memory.

use super::rows::MOST_ROWS;
use lepton_core::{Error, Result};
use rayon::prelude::*;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Partitions, by the topmost bits of a hash.
const PARTITIONS: usize = 64;

/// A row: its hash and its number.
type Entry = [u64; 3];

const ENTRY_BYTES: usize = std::mem::size_of::<Entry>();

/// Rows that are equal in every cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Rows that repeat an earlier one.
    pub count: u64,
    /// The groups of equal rows, by first row, until they name 10,000 rows.
    pub groups: Vec<DuplicateGroup>,
}

/// A row and those that repeat it, from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateGroup {
    /// The first of them.
    pub first: u64,
    /// The others, ascending.
    pub repeats: Vec<u64>,
}

/// The hashes of all rows so far.
pub(crate) struct RowHashes<'a> {
    partitions: Vec<Vec<Entry>>,
    held: usize,
    most: usize,
    scratch: &'a Path,
    files: Vec<File>,
}

impl<'a> RowHashes<'a> {
    pub(crate) fn new(scratch: &'a Path, memory: usize) -> RowHashes<'a> {
        let most = (memory / ENTRY_BYTES).max(PARTITIONS);
        RowHashes { partitions: vec![Vec::new(); PARTITIONS], held: 0, most, scratch, files: Vec::new() }
    }

    /// Adds the rows of a chunk that begins at row `first`.
    pub(super) fn add(&mut self, first: u64, hashes: &[[u64; 2]]) -> Result<()> {
        for (row, hash) in (first..).zip(hashes) {
            self.partitions[(hash[0] >> 58) as usize].push([hash[0], hash[1], row]);
        }
        self.held += hashes.len();
        if self.held >= self.most { self.spill() } else { Ok(()) }
    }

    /// Adds some rows of a chunk that begins at row `first`, by their place in it.
    pub(crate) fn add_listed(&mut self, first: u64, hashes: &[(u32, [u64; 2])]) -> Result<()> {
        for (row, hash) in hashes {
            self.partitions[(hash[0] >> 58) as usize].push([hash[0], hash[1], first + u64::from(*row)]);
        }
        self.held += hashes.len();
        if self.held >= self.most { self.spill() } else { Ok(()) }
    }

    /// Moves all entries to the files. They have no names, so nothing is left behind whatever happens.
    fn spill(&mut self) -> Result<()> {
        let folder = self.scratch;
        let failed = |source| Error::io("write temporary data", folder, source);
        while self.files.len() < PARTITIONS {
            self.files.push(tempfile::tempfile_in(folder).map_err(failed)?);
        }
        let mut bytes = Vec::new();
        for (partition, file) in self.partitions.iter_mut().zip(&mut self.files) {
            bytes.clear();
            bytes.extend(partition.iter().flatten().flat_map(|word| word.to_le_bytes()));
            file.write_all(&bytes).map_err(failed)?;
            partition.clear();
        }
        self.held = 0;
        Ok(())
    }

    /// The rows that repeat others.
    pub(crate) fn find(mut self, threads: usize) -> Result<Duplicates> {
        if !self.files.is_empty() {
            self.spill()?;
        }
        let scratch = self.scratch;
        let mut files = self.files.into_iter();
        let parts: Vec<(Vec<Entry>, Option<File>)> =
            self.partitions.into_iter().map(|entries| (entries, files.next())).collect();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .build()
            .map_err(|source| Error::internal(format!("no threads: {source}")))?;
        let found = pool.install(|| {
            let found = parts.into_par_iter().map(|(mut entries, file)| {
                if let Some(file) = file {
                    read(file, &mut entries).map_err(|source| Error::io("read temporary data", scratch, source))?;
                }
                Ok(groups(entries))
            });
            found.collect::<Result<Vec<_>>>()
        })?;
        let count = found.iter().map(|(count, _)| count).sum();
        let mut groups: Vec<DuplicateGroup> = found.into_iter().flat_map(|(_, groups)| groups).collect();
        groups.sort_unstable_by_key(|group| group.first);
        let mut rows = 0;
        groups.retain_mut(|group| {
            group.repeats.truncate((MOST_ROWS - rows).min(group.repeats.len()));
            rows += group.repeats.len();
            !group.repeats.is_empty()
        });
        Ok(Duplicates { count, groups })
    }
}

fn read(mut file: File, entries: &mut Vec<Entry>) -> std::io::Result<()> {
    let bytes = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    entries.reserve(bytes as usize / ENTRY_BYTES);
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut buffer = [0; ENTRY_BYTES];
    for _ in 0..bytes as usize / ENTRY_BYTES {
        reader.read_exact(&mut buffer)?;
        let word = |place: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&buffer[8 * place..8 * place + 8]);
            u64::from_le_bytes(word)
        };
        entries.push([word(0), word(1), word(2)]);
    }
    Ok(())
}

/// How many entries repeat another, and the groups, each cut to 10,000 rows.
fn groups(mut entries: Vec<Entry>) -> (u64, Vec<DuplicateGroup>) {
    entries.sort_unstable();
    let (mut count, mut groups) = (0, Vec::new());
    for group in entries.chunk_by(|left, right| left[..2] == right[..2]) {
        if let [first, repeats @ ..] = group
            && !repeats.is_empty()
        {
            count += repeats.len() as u64;
            let repeats = repeats.iter().take(MOST_ROWS).map(|entry| entry[2]).collect();
            groups.push(DuplicateGroup { first: first[2], repeats });
        }
    }
    (count, groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        #[test]
        fn every_repeat_is_found_in_memory_and_in_files(
            rows in prop::collection::vec(0u64..60, 0..400), piece in 1usize..80, memory in 1usize..20_000,
        ) {
            let hash = |value: u64| [value.wrapping_mul(0x9E37_79B9_7F4A_7C15), value];
            let folder = tempfile::tempdir().unwrap();
            let mut hashes = RowHashes::new(folder.path(), memory);
            for (index, rows) in rows.chunks(piece).enumerate() {
                let part: Vec<[u64; 2]> = rows.iter().map(|value| hash(*value)).collect();
                hashes.add((index * piece) as u64, &part).unwrap();
            }
            let found = hashes.find(2).unwrap();
            let mut wanted: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for (row, value) in rows.iter().enumerate() {
                wanted.entry(*value).or_default().push(row as u64);
            }
            let mut wanted: Vec<DuplicateGroup> = wanted
                .into_values()
                .filter(|rows| rows.len() > 1)
                .map(|rows| DuplicateGroup { first: rows[0], repeats: rows[1..].to_vec() })
                .collect();
            wanted.sort_by_key(|group| group.first);
            prop_assert_eq!(found.count as usize, wanted.iter().map(|group| group.repeats.len()).sum::<usize>());
            prop_assert_eq!(found.groups, wanted);
        }
    }
}
