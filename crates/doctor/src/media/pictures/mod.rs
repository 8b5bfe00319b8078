//! Pictures: what is kept of each ([`PictureFacts`]), the profile of all ([`PictureProfile`]), findings (`checks`),
//! perceptual hashes (`hash`), the search for pictures that look the same (`near`) and those of it that lie on both
//! sides of a split (`leak`).

mod checks;
mod facts;
mod hash;
mod labels;
mod leak;
mod near;
mod profile;
mod resize;
mod thumbnail;

pub use checks::{PictureChecks, check_pictures};
pub(crate) use facts::decode;
pub use facts::{PictureFacts, PictureMode};
pub use hash::{difference_hash, perceptual_hash};
pub use leak::near_training;
pub use near::{NearOptions, NearPair, near_duplicates};
pub use profile::{PictureProfile, PictureView, profile_pictures};
pub use resize::{Luma, resize_lanczos};
pub(crate) use thumbnail::dynamic;
pub use thumbnail::{THUMBNAIL_SIDE, thumbnail};
