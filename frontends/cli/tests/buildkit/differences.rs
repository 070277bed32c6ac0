//! What is left out of a comparison. Each is a row of docs/buildkit.md, which says why.

/// A text of `BuildKit` that stands for another of ours.
#[derive(Debug)]
pub struct Difference {
    /// What docs/buildkit.md calls it.
    pub name: &'static str,
    /// In a document of `BuildKit`.
    pub theirs: &'static str,
    /// What is compared in its place.
    pub ours: &'static str,
}

/// Of index.json of a layout, in every case.
pub static OF_INDEX_JSON: [&Difference; 4] = [&CREATED, &ONLY_CREATED, &PLATFORM_AMD64, &PLATFORM_ARM];

static CREATED: Difference = Difference {
    name: "`org.opencontainers.image.created` in `index.json`",
    theirs: r#""org.opencontainers.image.created":"2023-11-14T22:13:20Z","#,
    ours: "",
};

/// Without a name it is the only one.
static ONLY_CREATED: Difference = Difference {
    name: "`org.opencontainers.image.created` in `index.json`",
    theirs: r#","annotations":{"org.opencontainers.image.created":"2023-11-14T22:13:20Z"}"#,
    ours: "",
};

static PLATFORM_AMD64: Difference = Difference {
    name: "`platform` in `index.json`",
    theirs: r#","platform":{"architecture":"amd64","os":"linux"}"#,
    ours: "",
};

static PLATFORM_ARM: Difference = Difference {
    name: "`platform` in `index.json`",
    theirs: r#","platform":{"architecture":"arm","os":"linux","variant":"v7"}"#,
    ours: "",
};

/// Of an image without layers.
pub static NULL_LAYERS: Difference =
    Difference { name: "`null` for an empty list", theirs: r#""layers": null"#, ours: r#""layers": []"# };

pub static NULL_DIFF_IDS: Difference =
    Difference { name: "`null` for an empty list", theirs: r#""diff_ids":null"#, ours: r#""diff_ids":[]"# };

/// Of statements about images.
pub static STATEMENT: Difference = Difference {
    name: "`_type` of statements",
    theirs: r#""_type":"https://in-toto.io/Statement/v0.1""#,
    ours: r#""_type":"https://in-toto.io/Statement/v1""#,
};

/// Every difference there is.
pub static ALL: [&Difference; 7] =
    [&CREATED, &ONLY_CREATED, &PLATFORM_AMD64, &PLATFORM_ARM, &NULL_LAYERS, &NULL_DIFF_IDS, &STATEMENT];
