//! The cases.

use super::Expected::{Chosen, First, Refused};
use super::Node::{Annotated, Artifact, Attestation, Deep, Image, Index, Missing, Signature, Typed, Unknown};
use super::PlatformCase;

const AMD64: &str = "linux/amd64";
const ARM64: &str = "linux/arm64";
const ARM: &str = "linux/arm";
const V5: &str = "linux/arm/v5";
const V6: &str = "linux/arm/v6";
const V7: &str = "linux/arm/v7";
const OTHER: &str = "linux/s390x";
const NONE: &str = "";

macro_rules! cases {
    ($($name:literal: $wanted:expr => $expected:expr, $index:expr;)*) => {
        /// The cases of [`platform_picker`](super::platform_picker).
        pub const PLATFORM_CASES: &[PlatformCase] =
            &[$(PlatformCase { name: $name, wanted: $wanted, expected: $expected, index: &$index }),*];
    };
}

cases! {
    "the platform of the index": ARM64 => Chosen("arm"), [Image("amd", AMD64, AMD64), Image("arm", ARM64, ARM64)];
    "a single image": AMD64 => Chosen("amd"), [Image("amd", AMD64, AMD64)];
    "a single image for another platform": OTHER => Refused("choose one of linux/amd64"), [Image("amd", AMD64, AMD64)];
    "the hint lists each platform once": OTHER => Refused("choose one of linux/amd64, linux/arm/v7"),
        [Image("a", AMD64, AMD64), Image("b", V7, V7), Image("c", AMD64, AMD64)];

    "a nested index": ARM64 => Chosen("arm"),
        [Image("amd", AMD64, AMD64), Index(&[Image("arm", ARM64, ARM64)])];
    "an index in an index in an index": ARM64 => Chosen("arm"),
        [Index(&[Image("amd", AMD64, AMD64), Index(&[Image("arm", ARM64, ARM64)])])];
    "the hint lists platforms of nested indexes": OTHER => Refused("choose one of linux/amd64, linux/arm64"),
        [Index(&[Image("amd", AMD64, AMD64)]), Index(&[Image("arm", ARM64, ARM64)])];
    "an index that is listed very often": ARM64 => Chosen("arm"), [Deep(&[Image("arm", ARM64, ARM64)])];

    "no platform in the index": ARM64 => Chosen("arm"), [Image("amd", NONE, AMD64), Image("arm", NONE, ARM64)];
    "no platform in a nested index": ARM64 => Chosen("arm"),
        [Index(&[Image("amd", NONE, AMD64), Image("arm", NONE, ARM64)])];
    "some platforms in the index": AMD64 => Chosen("amd"), [Image("arm", ARM64, ARM64), Image("amd", NONE, AMD64)];
    "the index comes before configurations": AMD64 => Chosen("listed"),
        [Image("open", NONE, AMD64), Image("listed", AMD64, AMD64)];
    "a configuration for the very platform comes before an older variant": V6 => Chosen("v6"),
        [Image("v5", V5, V5), Image("v6", NONE, V6)];
    "the hint lists platforms of configurations": OTHER => Refused("choose one of linux/amd64, linux/arm64"),
        [Image("amd", NONE, AMD64), Image("arm", ARM64, ARM64)];
    "a missing manifest without a platform": AMD64 => Chosen("amd"), [Missing(NONE), Image("amd", NONE, AMD64)];
    "a missing manifest of another platform": AMD64 => Chosen("amd"), [Missing(ARM64), Image("amd", AMD64, AMD64)];

    "the variant in the index only": V6 => Chosen("v6"), [Image("v7", V7, ARM), Image("v6", V6, ARM)];
    "the variant in the index decides": V7 => Refused("choose one of linux/arm/v8"), [Image("v8", "linux/arm/v8", ARM)];
    "v5 for v6": V6 => Chosen("v5"), [Image("v7", V7, V7), Image("v5", V5, V5)];
    "v6 before v5 for v7": V7 => Chosen("v6"), [Image("v5", V5, V5), Image("v6", V6, V6)];
    "never v7 for v6": V6 => Refused("choose one of linux/arm/v7"), [Image("v7", V7, V7)];
    "arm is v7": V7 => Chosen("arm"), [Image("v6", V6, V6), Image("arm", ARM, ARM)];
    "arm64 with the variant v8": ARM64 => Chosen("arm"),
        [Image("v9", "linux/arm64/v9", ARM64), Image("arm", "linux/arm64/v8", ARM64)];
    "arm64 without a variant for v8": "linux/arm64/v9" => Chosen("arm"), [Image("arm", ARM64, ARM64)];
    "never amd64/v3 for amd64": AMD64 => Chosen("v1"),
        [Image("v3", "linux/amd64/v3", AMD64), Image("v1", "linux/amd64/v1", AMD64)];
    "never another architecture": AMD64 => Refused("choose one of linux/386"), [Image("386", "linux/386", "linux/386")];
    "never another operating system": AMD64 => Refused("choose one of windows/amd64"),
        [Image("windows", "windows/amd64", "windows/amd64")];

    "features are never chosen for the plain platform": AMD64 => Chosen("plain"),
        [Image("erofs", "linux/amd64+erofs", AMD64), Image("plain", AMD64, AMD64)];
    "features alone": AMD64 => Refused("the image has only linux/amd64 with erofs"),
        [Image("erofs", "linux/amd64+erofs", AMD64)];
    "features in the configuration": AMD64 => Refused("choose one of linux/arm64"),
        [Image("erofs", NONE, "linux/amd64+erofs"), Image("arm", ARM64, ARM64)];

    "one platform twice": AMD64 => First("one"), [Image("one", AMD64, AMD64), Image("two", AMD64, AMD64)];
    "one platform twice in two spellings": ARM64 => First("one"),
        [Image("one", "linux/arm64/v8", ARM64), Image("two", ARM64, ARM64)];
    "one platform twice in two indexes": AMD64 => First("one"),
        [Index(&[Image("one", AMD64, AMD64)]), Image("two", AMD64, AMD64)];
    "one platform twice in configurations": AMD64 => First("one"),
        [Image("one", NONE, AMD64), Image("two", NONE, AMD64)];
    "one image twice": AMD64 => Chosen("one"), [Image("one", AMD64, AMD64), Image("one", AMD64, AMD64)];
    "another platform twice": AMD64 => Chosen("amd"),
        [Image("one", ARM64, ARM64), Image("two", ARM64, ARM64), Image("amd", AMD64, AMD64)];

    "attestations of BuildKit": AMD64 => Chosen("amd"),
        [Attestation("unknown/unknown", "unknown/unknown"), Image("amd", AMD64, AMD64)];
    "attestations without a platform in the index": AMD64 => Chosen("amd"),
        [Attestation(NONE, "unknown/unknown"), Image("amd", NONE, AMD64)];
    "attestations by their annotation": AMD64 => Chosen("amd"), [Annotated(AMD64), Image("amd", NONE, AMD64)];
    "attestations are no platforms of the hint": OTHER => Refused("choose one of linux/amd64"),
        [Attestation("unknown/unknown", "unknown/unknown"), Annotated(ARM64), Image("amd", AMD64, AMD64)];
    "attestations alone": AMD64 => Refused("the image has no platforms"),
        [Attestation("unknown/unknown", "unknown/unknown"), Annotated(AMD64)];
    "signatures": AMD64 => Chosen("amd"), [Signature, Image("amd", NONE, AMD64)];
    "artifacts": AMD64 => Chosen("amd"), [Artifact(NONE), Image("amd", NONE, AMD64)];
    "artifacts that an index gives the platform": AMD64 => Chosen("amd"), [Artifact(AMD64), Image("amd", AMD64, AMD64)];
    "artifacts that an index gives the platform, beside a configuration for it": AMD64 => Chosen("amd"),
        [Artifact(AMD64), Image("amd", NONE, AMD64)];
    "an index without manifests": AMD64 => Refused("the image has no platforms"), [];
    "unknown media types": AMD64 => Chosen("amd"), [Unknown(AMD64), Image("amd", AMD64, AMD64)];
    "configurations of types that Docker accepts": ARM64 => Chosen("arm"), [
        Typed("amd", AMD64, "application/octet-stream"),
        Typed("arm", ARM64, "text/html"),
        Typed("other", OTHER, "application/json")
    ];
}
