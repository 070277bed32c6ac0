//! The page of the protocol, with the schema of its messages.

use std::fmt::Write as _;
use std::path::Path;

use schemars::{Schema, schema_for};

use crate::host::{CREDENTIALS, ENVIRONMENT};
use crate::protocol::{MESSAGE_LIMIT, Reply, Request};

const START: &str = "<!-- what follows is generated: LONGSHORE_BLESS=1 cargo test -p longshore-external -->\n";

#[test]
fn the_page_has_the_schema_of_the_messages() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/external-protocol.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (by_hand, _) = page.split_once(START).expect("the page has a generated part");
    let expected = format!("{by_hand}{START}{}", generated());
    if std::env::var_os("LONGSHORE_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    } else {
        assert!(page == expected, "docs/external-protocol.md is stale: run the test with LONGSHORE_BLESS=1");
    }
}

fn generated() -> String {
    let mut text = String::new();
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        text,
        "\n## Environment\n\nA plugin gets these variables, and those that begin with `LC_`: {}.",
        list(&ENVIRONMENT)
    );
    let _ = writeln!(
        text,
        "One that asks for credentials, if the user says `--plugin-credentials`, also gets {}; `HOME` is an empty directory \
         otherwise. A message has at most {MESSAGE_LIMIT} bytes.",
        list(&CREDENTIALS)
    );
    for (title, schema) in
        [("Messages to a plugin", schema_for!(Request)), ("Messages of a plugin", schema_for!(Reply))]
    {
        let _ = write!(text, "\n## {title}\n\n{}", table(&schema));
        let _ = write!(text, "\n```json\n{}\n```\n", serde_json::to_string_pretty(&schema).unwrap());
    }
    text
}

/// A line for each message.
fn table(schema: &Schema) -> String {
    let mut text = "| message | |\n|---|---|\n".to_owned();
    let messages = schema.get("oneOf").and_then(|list| list.as_array()).expect("an enum");
    for message in messages {
        let key = message["required"][0].as_str().expect("a key");
        let what = message["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(text, "| `{key}` | {what} |");
    }
    text
}
