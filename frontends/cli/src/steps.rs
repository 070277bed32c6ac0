//! The steps that made an image, from its history.

use longshore_core::Result;
use longshore_core::oci::{History, ImageConfig};

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Step {
    /// Which layer it made, from 0.
    pub(crate) layer: Option<usize>,
    /// The command, as its author wrote it, as far as the history says.
    pub(crate) command: String,
    /// When it ran.
    pub(crate) created: Option<String>,
}

/// Returns the steps of an image, each of its layers among them.
pub(crate) fn steps(config: &ImageConfig, layers: usize) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut next = 0;
    for History { created, created_by, comment, empty_layer, .. } in config.history()? {
        let layer = (!empty_layer && next < layers).then_some(next);
        next += usize::from(layer.is_some());
        let text = created_by.filter(|text| !text.is_empty()).or(comment).unwrap_or_default();
        steps.push(Step { layer, command: command(&text), created });
    }
    steps.extend((next..layers).map(|layer| Step { layer: Some(layer), command: String::new(), created: None }));
    Ok(steps)
}

/// Returns a command as in its Dockerfile: builders wrap it.
fn command(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_suffix("# buildkit").unwrap_or(text).trim_end();
    let text = match text.strip_prefix("/bin/sh -c #(nop)") {
        Some(instruction) => instruction.trim_start().to_owned(),
        None => match text.strip_prefix("/bin/sh -c ").or_else(|| text.strip_prefix("RUN /bin/sh -c ")) {
            Some(command) => format!("RUN {}", command.trim_start()),
            None => text.to_owned(),
        },
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_dockerfile() {
        for (text, expected) in [
            ("/bin/sh -c #(nop)  CMD [\"bash\"]", "CMD [\"bash\"]"),
            ("/bin/sh -c #(nop) ADD file:1 in / ", "ADD file:1 in /"),
            ("/bin/sh -c apt-get update", "RUN apt-get update"),
            ("RUN /bin/sh -c make # buildkit", "RUN make"),
            ("COPY a b # buildkit", "COPY a b"),
            ("a\tb\n c", "a b  c"),
        ] {
            assert_eq!(command(text), expected, "{text}");
        }
    }

    #[test]
    fn each_layer_has_a_step() {
        let history = r#"{"history":[{"created_by":"a"},{"created_by":"b","empty_layer":true},{"comment":"c"}]}"#;
        let config = ImageConfig::parse(history.as_bytes()).unwrap();
        let found = steps(&config, 3).unwrap();
        let found: Vec<_> = found.iter().map(|step| (step.layer, step.command.as_str())).collect();
        assert_eq!(found, [(Some(0), "a"), (None, "b"), (Some(1), "c"), (Some(2), "")]);
        assert_eq!(steps(&config, 1).unwrap().iter().filter(|step| step.layer.is_some()).count(), 1);
    }
}
