//! Platforms of existing images: joined by a new index, and selected from one.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "compose"]
mod compose {
    mod joined;
    mod pieces;
    mod selected;
}
