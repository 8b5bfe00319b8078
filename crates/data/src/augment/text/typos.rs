//! Typing mistakes: a neighbouring key of a QWERTY keyboard, a letter twice, a letter missing, two letters swapped.

use crate::augment::draws::Draws;

/// The rows of the keyboard. Each is shifted to the right of the one above, so the neighbours below a key are at its
/// place and before it.
const ROWS: [&str; 3] = ["qwertyuiop", "asdfghjkl", "zxcvbnm"];

/// Each letter is mistyped with probability `amount`.
pub(super) fn typos(text: &str, amount: f64, draws: &mut Draws) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut typed = String::with_capacity(text.len() + 4);
    let mut place = 0;
    while place < letters.len() {
        let letter = letters[place];
        place += 1;
        if !letter.is_alphabetic() || !draws.chance(amount) {
            typed.push(letter);
            continue;
        }
        match draws.below(4) {
            0 => typed.push(neighbour(letter, draws)),
            1 => typed.extend([letter, letter]),
            2 => {}
            _ => match letters.get(place).filter(|next| next.is_alphabetic()) {
                Some(&next) => {
                    typed.extend([next, letter]);
                    place += 1;
                }
                None => typed.push(letter),
            },
        }
    }
    typed
}

/// A key beside, above or below; letters of other alphabets stay.
fn neighbour(letter: char, draws: &mut Draws) -> char {
    let small = letter.to_ascii_lowercase();
    let Some((row, column)) =
        ROWS.iter().enumerate().find_map(|(row, keys)| keys.find(small).map(|column| (row, column)))
    else {
        return letter;
    };
    let mut near = Vec::new();
    let mut key = |row: Option<usize>, column: Option<usize>| {
        if let (Some(row), Some(column)) = (row, column) {
            near.extend(ROWS.get(row).and_then(|keys| keys.chars().nth(column)));
        }
    };
    key(Some(row), column.checked_sub(1));
    key(Some(row), Some(column + 1));
    key(row.checked_sub(1), Some(column));
    key(row.checked_sub(1), Some(column + 1));
    key(Some(row + 1), Some(column));
    key(Some(row + 1), column.checked_sub(1));
    let drawn = near[draws.below(near.len())];
    if letter.is_ascii_uppercase() { drawn.to_ascii_uppercase() } else { drawn }
}
