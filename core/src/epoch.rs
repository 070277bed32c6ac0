//! `SOURCE_DATE_EPOCH`: the time used in place of the clock.

use std::borrow::Cow;
use std::str::FromStr;

use jiff::Timestamp;
use longshore_oci::{Error, Result};

use crate::options::Value;

/// A time in whole seconds since 1970 (reproducible-builds.org, "SOURCE_DATE_EPOCH").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(Timestamp);

impl Epoch {
    /// Returns the time.
    pub fn time(self) -> Timestamp {
        self.0
    }

    /// Returns the time in seconds since 1970.
    pub fn seconds(self) -> i64 {
        self.0.as_second()
    }
}

impl FromStr for Epoch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let time = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(Self)
            .ok_or_else(|| Error::option(format!("expected seconds since 1970, not `{}`", text.escape_debug())))
    }
}

/// The epoch option of an output: a time, or, if empty, no epoch regardless of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochOption(pub Option<Epoch>);

impl EpochOption {
    /// Returns the epoch that `option` sets, or that of the build if it is not set.
    pub(crate) fn or_of_build(option: Option<Self>, of_build: Option<Epoch>) -> Option<Epoch> {
        option.map_or(of_build, |Self(epoch)| epoch)
    }
}

impl Value for EpochOption {
    fn syntax() -> Cow<'static, str> {
        "SECONDS|".into()
    }

    fn parse(text: &str) -> Result<Self> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}
