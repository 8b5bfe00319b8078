//! (empty until its first code lands)
