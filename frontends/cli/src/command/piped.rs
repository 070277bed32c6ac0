//! A layer on standard input: kept in a file of its own while the command runs, as layers are read more than once.

use std::env;
use std::fs::File;
use std::io::{self, BufRead, IsTerminal};

use longshore_core::{Context, Error, Result, ScratchDirectory};

/// The layers of a command, and where the one that came on standard input is.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) texts: Vec<String>,
    _piped: Option<ScratchDirectory>,
}

impl Layers {
    /// Reads standard input for the layer that is `-`, if there is one.
    ///
    /// # Errors
    /// Several such layers; standard input that is a terminal, is empty or cannot be read.
    pub(super) fn of(texts: &[String]) -> Result<Self> {
        let rest = |text: &str| {
            text.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(":/")).map(str::to_owned)
        };
        match texts.iter().filter(|text| rest(text).is_some()).count() {
            0 => return Ok(Self { texts: texts.to_vec(), _piped: None }),
            1 => {}
            _ => return Err(Error::option("standard input can be read once, and two layers are `-`")),
        }
        let scratch = spooled().attempt(|| "cannot read a layer from standard input".to_owned())?;
        let path = scratch.path().join("layer.tar");
        let named = |text: &String| rest(text).map_or_else(|| text.clone(), |rest| format!("{}{rest}", path.display()));
        Ok(Self { texts: texts.iter().map(named).collect(), _piped: Some(scratch) })
    }
}

fn spooled() -> Result<ScratchDirectory> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(Error::option("it is a terminal").with_hint("pipe an archive into it"));
    }
    if stdin.lock().fill_buf()?.is_empty() {
        return Err(Error::input("it is empty").with_hint("pipe an archive into it"));
    }
    let scratch = ScratchDirectory::new_in(&env::temp_dir())?;
    io::copy(&mut stdin.lock(), &mut File::create(scratch.path().join("layer.tar"))?)?;
    Ok(scratch)
}
