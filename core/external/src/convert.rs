//! Messages, and what they are in core.

use longshore_core::options::OptionInfo;
use longshore_core::{Error, ErrorKind, ExportedImage};

use crate::protocol::{Described, Failure, ImageMessage};

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut causes = Vec::new();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        let hint = error.hint().map(str::to_owned);
        Self { kind: error.kind().to_string(), message: error.message().to_owned(), hint, causes }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = failure.kind.parse().unwrap_or(ErrorKind::Other);
        let messages = failure.causes.into_iter().rev();
        let cause = messages.fold(None, |cause: Option<Self>, message| {
            let error = Self::new(kind, one_line(&message));
            Some(match cause {
                Some(cause) => error.with_source(cause),
                None => error,
            })
        });
        let mut error = Self::new(kind, one_line(&failure.message));
        if let Some(hint) = failure.hint {
            error = error.with_hint(one_line(&hint));
        }
        match cause {
            Some(cause) => error.with_source(cause),
            None => error,
        }
    }
}

/// Returns a text of a plugin as one line that a terminal can show.
pub(crate) fn one_line(text: &str) -> String {
    text.trim().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

impl From<&ExportedImage> for ImageMessage {
    fn from(image: &ExportedImage) -> Self {
        Self { names: image.names.clone(), root: image.root.clone(), config: image.config.clone() }
    }
}

impl From<ImageMessage> for ExportedImage {
    fn from(image: ImageMessage) -> Self {
        Self::new(image.names, image.root, image.config)
    }
}

impl From<&OptionInfo> for Described {
    fn from(option: &OptionInfo) -> Self {
        let OptionInfo { key, help, syntax, default, .. } = option;
        Self { key: key.to_string(), help: help.to_string(), syntax: syntax.to_string(), default: default.to_string() }
    }
}

impl From<&Described> for OptionInfo {
    fn from(option: &Described) -> Self {
        let Described { key, help, syntax, default } = option.clone();
        Self::new(key, help, syntax, if default.is_empty() { "none".to_owned() } else { default })
    }
}
