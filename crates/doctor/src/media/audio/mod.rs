//! Sounds: what is kept of each ([`AudioFacts`], `decode`), the profile of all ([`AudioProfile`]) and findings
//! (`checks`). Files are decoded packet by packet; no sound is held whole.

mod checks;
mod decode;
mod facts;
mod profile;

pub use checks::check_audio;
pub use facts::AudioFacts;
pub use profile::{AudioProfile, AudioView, profile_audio};
