//! The cases: each is a row of docs/buildkit.md.

use super::case::{Base, Case, Step};
use super::differences::{NULL_DIFF_IDS, NULL_LAYERS, STATEMENT};

/// Every case.
pub static ALL: [&Case; 34] = [
    &UNCOMPRESSED,
    &UNCOMPRESSED_DOCKER_TYPES,
    &GZIP,
    &GZIP_DOCKER_TYPES,
    &ZSTD,
    &ZSTD_DOCKER_TYPES,
    &TWO_PLATFORMS,
    &TWO_PLATFORMS_DOCKER_TYPES,
    &VARIANT,
    &TWO_NAMES,
    &NO_NAME,
    &NO_LAYERS,
    &ON_A_BASE,
    &ON_A_BASE_IN_ZSTD,
    &ON_A_BASE_FORCED,
    &ON_A_BASE_NO_LAYERS,
    &DOCKER_TAR,
    &DOCKER_TAR_ON_A_BASE,
    &ANNOTATIONS,
    &ANNOTATIONS_OF_TWO_PLATFORMS,
    &PROVENANCE_MIN,
    &PROVENANCE_MAX,
    &PROVENANCE_ARTIFACT,
    &PROVENANCE_INLINE,
    &PROVENANCE_NOT_INLINE,
    &PROVENANCE_OF_TWO_PLATFORMS,
    &PROVENANCE_WITHOUT_NAME,
    &REWRITTEN,
    &REWRITTEN_ON_A_BASE,
    &LOCAL,
    &LOCAL_OF_TWO_PLATFORMS,
    &TAR,
    &TAR_OF_TWO_PLATFORMS,
    &TAR_ON_A_BASE,
];

/// Every instruction that a Dockerfile without RUN has, and a layer that is empty.
const STEPS: &[Step] = &[
    Step::copy("one", "COPY one/ /", "COPY one/ / # buildkit"),
    Step::set("ARG VERSION=1", "ARG VERSION=1"),
    Step::set(r#"ENV A="a <b> & c" B=ü"#, "ENV A=a <b> & c B=ü"),
    Step::set(r#"LABEL z="1" a="<&>""#, "LABEL z=1 a=<&>"),
    Step::copy("two", "COPY two/ /", "COPY two/ / # buildkit"),
    Step::set("EXPOSE 80/tcp 53/udp", "EXPOSE [53/udp 80/tcp]"),
    Step::set("VOLUME /data", "VOLUME [/data]"),
    Step::set("USER 1000:1000", "USER 1000:1000"),
    Step::set("STOPSIGNAL SIGINT", "STOPSIGNAL SIGINT"),
    Step::set(r#"ENTRYPOINT ["/app"]"#, r#"ENTRYPOINT ["/app"]"#),
    Step::copy("nothing", "COPY nothing/ /", "COPY nothing/ / # buildkit"),
    Step::set(r#"CMD ["x"]"#, r#"CMD ["x"]"#),
];

const CONFIG: &str = concat!(
    r#"{"User":"1000:1000","ExposedPorts":{"53/udp":{},"80/tcp":{}},"#,
    r#""Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","A=a <b> & c","B=ü"],"#,
    r#""Entrypoint":["/app"],"Cmd":["x"],"Volumes":{"/data":{}},"WorkingDir":"/","#,
    r#""Labels":{"a":"<&>","z":"1"},"StopSignal":"SIGINT","ArgsEscaped":true}"#,
);

/// What is on top of a base.
const ON_TOP: &[Step] = &[
    Step::set("LABEL top=1", "LABEL top=1"),
    Step::copy("two", "COPY two/ /", "COPY two/ / # buildkit"),
    Step::copy("small", "COPY small/ /", "COPY small/ / # buildkit"),
];

const CONFIG_ON_TOP: &str = concat!(
    r#"{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"WorkingDir":"/","#,
    r#""Labels":{"base":"<1>","top":"1"}}"#,
);

const AMD64_ARM64: &[&str] = &["linux/amd64", "linux/arm64"];

const NAME: &[&str] = &["example.com/app:1"];

impl Case {
    const NEW: Self = Self {
        name: "",
        base: None,
        steps: STEPS,
        config: CONFIG,
        platforms: &[],
        kind: "oci",
        names: NAME,
        output: &[],
        builder: &[],
        longshore: &[],
        put_in: &[],
        differences: &[],
        is_exact: false,
    };

    const ON_A_BASE: Self =
        Self { base: Some(Base { output: &["compression=gzip"] }), steps: ON_TOP, config: CONFIG_ON_TOP, ..Self::NEW };
}

pub static UNCOMPRESSED: Case = Case {
    name: "uncompressed",
    // The layer without files is the same in each case, and compressed in another.
    output: &["compression=uncompressed", "force-compression=true"],
    is_exact: true,
    ..Case::NEW
};

pub static UNCOMPRESSED_DOCKER_TYPES: Case = Case {
    name: "uncompressed, Docker types",
    output: &["compression=uncompressed", "force-compression=true", "oci-mediatypes=false"],
    is_exact: true,
    ..Case::NEW
};

pub static GZIP: Case = Case { name: "gzip", output: &["force-compression=true"], ..Case::NEW };

pub static GZIP_DOCKER_TYPES: Case = Case {
    name: "gzip, Docker types",
    output: &["compression=gzip", "force-compression=true", "oci-mediatypes=false"],
    ..Case::NEW
};

pub static ZSTD: Case = Case { name: "zstd", output: &["compression=zstd", "force-compression=true"], ..Case::NEW };

pub static ZSTD_DOCKER_TYPES: Case = Case {
    name: "zstd, Docker types",
    output: &["compression=zstd", "force-compression=true", "oci-mediatypes=false"],
    ..Case::NEW
};

pub static TWO_PLATFORMS: Case =
    Case { name: "two platforms", platforms: AMD64_ARM64, output: &["force-compression=true"], ..Case::NEW };

pub static TWO_PLATFORMS_DOCKER_TYPES: Case = Case {
    name: "two platforms, Docker types",
    platforms: AMD64_ARM64,
    output: &["force-compression=true", "oci-mediatypes=false"],
    ..Case::NEW
};

pub static VARIANT: Case = Case {
    name: "one platform of another machine",
    platforms: &["linux/arm/v7"],
    output: &["force-compression=true"],
    ..Case::NEW
};

pub static TWO_NAMES: Case =
    Case { name: "two names", names: &["example.com/app:1", "app"], output: &["force-compression=true"], ..Case::NEW };

pub static NO_NAME: Case = Case { name: "no name", names: &[], output: &["force-compression=true"], ..Case::NEW };

pub static NO_LAYERS: Case = Case {
    name: "no layers",
    steps: &[Step::set(r#"CMD ["x"]"#, r#"CMD ["x"]"#)],
    config: concat!(
        r#"{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["x"],"#,
        r#""WorkingDir":"/","ArgsEscaped":true}"#
    ),
    differences: &[&NULL_LAYERS, &NULL_DIFF_IDS],
    ..Case::NEW
};

pub static ON_A_BASE: Case = Case { name: "on a base", ..Case::ON_A_BASE };

pub static ON_A_BASE_IN_ZSTD: Case =
    Case { name: "on a base in another compression", output: &["compression=zstd"], ..Case::ON_A_BASE };

pub static ON_A_BASE_FORCED: Case = Case {
    name: "on a base with forced compression",
    output: &["compression=zstd", "force-compression=true"],
    ..Case::ON_A_BASE
};

pub static ON_A_BASE_NO_LAYERS: Case = Case {
    name: "on a base without new layers",
    steps: &[Step::set("LABEL top=1", "LABEL top=1")],
    is_exact: true,
    ..Case::ON_A_BASE
};

pub static DOCKER_TAR: Case = Case {
    name: "tarball for `docker load`",
    kind: "docker",
    names: &["example.com/app:1", "app"],
    output: &["force-compression=true", "oci-mediatypes=false"],
    ..Case::NEW
};

pub static DOCKER_TAR_ON_A_BASE: Case = Case {
    name: "tarball for `docker load` on a base",
    kind: "docker",
    names: &["app:1"],
    output: &["oci-mediatypes=true"],
    ..Case::ON_A_BASE
};

pub static ANNOTATIONS: Case = Case {
    name: "annotations of one platform",
    output: &[
        "force-compression=true",
        "annotation.b=<1>",
        "annotation-manifest.a=2",
        "annotation-manifest-descriptor.d=4",
    ],
    ..Case::NEW
};

pub static ANNOTATIONS_OF_TWO_PLATFORMS: Case = Case {
    name: "annotations of two platforms",
    platforms: AMD64_ARM64,
    output: &[
        "force-compression=true",
        "annotation.all=1",
        "annotation[linux/arm64].one=2",
        "annotation-manifest-descriptor.all=3",
        "annotation-manifest-descriptor[linux/amd64].one=4",
        "annotation-index.index=5",
        "annotation-index-descriptor.a=6",
    ],
    ..Case::NEW
};

impl Case {
    /// An image with the provenance that `BuildKit` makes, which Longshore is given as a file.
    const PROVENANCE: Self = Self {
        output: &["force-compression=true", "oci-artifact=false"],
        longshore: &["--attest", "type=provenance,file=predicate-0.json"],
        differences: &[&STATEMENT],
        ..Self::NEW
    };
}

pub static PROVENANCE_MIN: Case =
    Case { name: "provenance, min", builder: &["--provenance=mode=min"], ..Case::PROVENANCE };

pub static PROVENANCE_MAX: Case =
    Case { name: "provenance, max", builder: &["--provenance=mode=max"], ..Case::PROVENANCE };

pub static PROVENANCE_ARTIFACT: Case = Case {
    name: "provenance as an OCI artifact",
    output: &["force-compression=true", "oci-artifact=true", "annotation-index.a=1"],
    builder: &["--provenance=mode=max"],
    ..Case::PROVENANCE
};

pub static PROVENANCE_INLINE: Case = Case {
    name: "provenance for inline use, `attestation-inline=true`",
    output: &["force-compression=true", "oci-artifact=true", "attestation-inline=true"],
    builder: &["--provenance=mode=min,inline-only=true"],
    longshore: &["--attest", "type=provenance,file=predicate-0.json,inline-only=true"],
    ..Case::PROVENANCE
};

pub static PROVENANCE_NOT_INLINE: Case = Case {
    name: "provenance for inline use, `attestation-inline=false`",
    output: &["force-compression=true", "attestation-inline=false"],
    builder: &["--provenance=mode=min,inline-only=true"],
    longshore: &["--attest", "type=provenance,inline-only=true"],
    differences: &[],
    ..Case::PROVENANCE
};

pub static PROVENANCE_OF_TWO_PLATFORMS: Case = Case {
    name: "provenance of two platforms",
    platforms: AMD64_ARM64,
    names: &["example.com/app:1", "app", "localhost:5000/team/app:2"],
    builder: &["--provenance=mode=max"],
    longshore: &[
        "--attest",
        "type=provenance,file=predicate-0.json,platform=linux/amd64",
        "--attest",
        "type=provenance,file=predicate-1.json,platform=linux/arm64",
    ],
    ..Case::PROVENANCE
};

pub static PROVENANCE_WITHOUT_NAME: Case =
    Case { name: "provenance without a name", names: &[], builder: &["--provenance=mode=min"], ..Case::PROVENANCE };

pub static REWRITTEN: Case = Case {
    name: "rewritten times",
    output: &["compression=uncompressed", "force-compression=true", "rewrite-timestamp=true"],
    is_exact: true,
    ..Case::NEW
};

pub static REWRITTEN_ON_A_BASE: Case =
    Case { name: "rewritten times on a base", output: &["rewrite-timestamp=true"], ..Case::ON_A_BASE };

pub static LOCAL: Case = Case { name: "files in a directory", kind: "local", names: &[], ..Case::NEW };

pub static LOCAL_OF_TWO_PLATFORMS: Case =
    Case { name: "files of two platforms in a directory", platforms: AMD64_ARM64, ..LOCAL };

pub static TAR: Case = Case { name: "files as a tar stream", kind: "tar", names: &[], ..Case::NEW };

pub static TAR_OF_TWO_PLATFORMS: Case =
    Case { name: "files of two platforms as a tar stream", platforms: AMD64_ARM64, ..TAR };

pub static TAR_ON_A_BASE: Case =
    Case { name: "files on a base as a tar stream", kind: "tar", names: &[], ..Case::ON_A_BASE };
