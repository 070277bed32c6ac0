//! The flags that edit an image.

use std::fs;
use std::sync::Arc;

use longshore_core::compose::{Edits, RunEdits};
use longshore_core::oci::{CONFIG_LIMIT, ImageConfig};
use longshore_core::{Context, Error, Progress, Result};
use longshore_frontend_rootfs::{LayerOptions, is_piped, layer};

use super::sources::{Flag, layer_attrs};
use crate::args::{ConfigArgs, ExportArgs};

/// Returns the edits set by flags, applied on top of every source.
pub(super) fn edits(args: &ExportArgs, flags: &[Flag], progress: &Progress) -> Result<Edits> {
    if args.layers.iter().filter(|text| is_piped(text)).count() > 1 {
        return Err(Error::option("standard input can be read once, and two layers are `-`"));
    }
    let options = LayerOptions::parse("--layer", &layer_attrs(flags))?;
    let layer = |text: &String| layer(text, &options, progress).map(Arc::new);
    let layers = args.layers.iter().map(layer).collect::<Result<_>>()?;
    let config = args.config.config.as_ref().map(|path| -> Result<ImageConfig> {
        if fs::metadata(path)?.len() > CONFIG_LIMIT {
            return Err(Error::input(format!("more than the limit of {CONFIG_LIMIT} bytes")));
        }
        ImageConfig::parse(&fs::read(path)?)
    });
    let name = || args.config.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let config = config.transpose().attempt(|| format!("cannot read config {}", name()))?;
    let mut edits = Edits::default();
    (edits.config, edits.run, edits.layers) = (config, run_edits(&args.config)?, layers);
    Ok(edits)
}

fn run_edits(args: &ConfigArgs) -> Result<RunEdits> {
    let pairs = |flag: &str, texts: &[String]| texts.iter().map(|text| pair(flag, text)).collect::<Result<Vec<_>>>();
    let mut run = RunEdits::default();
    run.env = pairs("env", &args.env)?;
    run.entrypoint = args.entrypoint.as_deref().map(|text| words("entrypoint", text)).transpose()?;
    run.cmd = args.cmd.as_deref().map(|text| words("cmd", text)).transpose()?;
    run.workdir = args.workdir.as_deref().map(|text| absolute("workdir", text)).transpose()?;
    run.user = args.user.clone();
    run.labels = pairs("label", &args.labels)?.into_iter().collect();
    run.expose = args.expose.iter().map(|text| port(text)).collect::<Result<_>>()?;
    run.volumes = args.volumes.iter().map(|text| absolute("volume", text)).collect::<Result<_>>()?;
    run.stop_signal = args.stop_signal.as_deref().map(signal).transpose()?;
    Ok(run)
}

/// Returns the flags that are options of sources and of layers.
pub(super) fn flags(args: &ExportArgs) -> Vec<Flag> {
    let owner = args.owner.as_deref().map(Flag::owner);
    let exclude = (!args.excludes.is_empty()).then(|| Flag::exclude(&args.excludes));
    let referrers = args.referrers.then(Flag::referrers);
    [owner, exclude, referrers].into_iter().flatten().collect()
}

fn invalid(flag: &str, text: &str, reason: &str) -> Error {
    Error::option(format!("--{flag}: `{}` {reason}", text.escape_debug()))
}

fn pair(flag: &str, text: &str) -> Result<(String, String)> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| invalid(flag, text, "is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Parses a JSON list or one word: nothing is split by shell-specific rules.
fn words(flag: &str, text: &str) -> Result<Vec<String>> {
    if text.trim_start().starts_with('[') {
        let list = serde_json::from_str(text);
        return list.map_err(|error| invalid(flag, text, "is not a JSON list of strings").with_source(error));
    }
    if text.is_empty() || text.contains(char::is_whitespace) {
        let error = invalid(flag, text, "is neither one word nor a JSON list");
        return Err(error.with_hint(format!("write it as a list: --{flag} '[\"/bin/sh\", \"-c\", \"date\"]'")));
    }
    Ok(vec![text.to_owned()])
}

fn absolute(flag: &str, text: &str) -> Result<String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err(invalid(flag, text, "is not an absolute path")) }
}

fn port(text: &str) -> Result<String> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let is_port = number.parse::<u16>().is_ok_and(|port| port > 0);
    if !is_port || !matches!(protocol, "tcp" | "udp" | "sctp") {
        return Err(invalid("expose", text, "is not PORT, PORT/tcp, PORT/udp or PORT/sctp"));
    }
    Ok(format!("{number}/{protocol}"))
}

fn signal(text: &str) -> Result<String> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let is_signal = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-'));
    if is_signal { Ok(text.to_owned()) } else { Err(invalid("stop-signal", text, "is not a signal, such as SIGTERM")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked() {
        assert_eq!(words("cmd", r#"["a", "b c"]"#).unwrap(), ["a", "b c"]);
        assert_eq!(words("cmd", "/bin/sh").unwrap(), ["/bin/sh"]);
        assert_eq!(port("80").unwrap(), "80/tcp");
        assert_eq!(port("53/udp").unwrap(), "53/udp");
        assert_eq!(pair("env", "A=b=c").unwrap(), ("A".to_owned(), "b=c".to_owned()));
        assert_eq!(signal("SIGRTMIN+3").unwrap(), "SIGRTMIN+3");
        let errors = [
            words("cmd", "a b").map(drop),
            words("cmd", "[1]").map(drop),
            port("0").map(drop),
            port("80/http").map(drop),
            pair("env", "=x").map(drop),
            pair("env", "HOME").map(drop),
            absolute("workdir", "tmp").map(drop),
            signal("term").map(drop),
        ];
        for error in errors {
            assert_eq!(error.unwrap_err().kind(), longshore_core::ErrorKind::InvalidOption);
        }
    }
}
