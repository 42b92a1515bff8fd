//! From YAML text to [`TemplateFile`], with the line and the field of an error.

use serde_path_to_error::{Path, Segment};
use serde_saphyr::{DuplicateKeyPolicy, Error, MergeKeyPolicy};

use super::error::{Problem, TemplateError};
use super::file::TemplateFile;

/// Octets of a template at most; the shipped ones have about 2,000.
const MAX_LEN: usize = 64 * 1024;

/// Reads the file's shape.
///
/// Anchors, aliases, merge keys, tags of applications and a second document are
/// refused: a template says everything where it stands.
pub(super) fn read(text: &str, file: &str) -> Result<TemplateFile, TemplateError> {
    let refuse = |line, field: &str, what: String| {
        let problem = Problem { line, field: field.to_owned(), what };
        TemplateError { file: file.to_owned(), problems: vec![problem] }
    };
    if text.len() > MAX_LEN {
        return Err(refuse(
            1,
            "",
            format!("{} bytes are too many for a template; use at most {MAX_LEN}", text.len()),
        ));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 16,
            max_documents: 1,
            max_nodes: 5_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        strict_booleans: true,
        with_snippet: false,
    };
    let mut field = String::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            field = path_text(error.path());
            error.into_inner()
        })
    });
    parsed.map_err(|error| {
        let line = error.location().map_or(1, |location| location.line().max(1));
        refuse(line, &field, describe(&error))
    })
}

/// The fields on the way, without those of the wrapper that records lines.
fn path_text(path: &Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } if key == "value" => {}
            Segment::Map { key } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// What is wrong, with the allowed values where the parser knows them.
fn describe(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown field {field:?}; the fields here are {}", expected.join(", "))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{variant:?} is not allowed; use one of {}", expected.join(", "))
        }
        Error::SerdeMissingField { field, .. } => format!("the field {field} is missing"),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the field {key} is there twice; remove one of them")
        }
        Error::InvalidScalar { ty, .. } => format!("the value is not a number of type {ty}"),
        other => other.to_string(),
    }
}
