//! Container images, as nodes report them.

use crate::observe::value::name::Name;

/// An image as nodes report it; the same on many of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldImage {
    /// Its names, with tag and with digest.
    pub names: Vec<Name>,
    /// Its size in bytes.
    pub size: i64,
}

/// The image's name with a tag, as nodes report it
/// (`pkg/scheduler/framework/plugins/imagelocality`, `normalizedImageName`).
pub(in crate::observe) fn normalised_image(image: &str) -> Name {
    let last_colon = image.rfind(':');
    let last_slash = image.rfind('/');
    if last_colon <= last_slash { Name::from(format!("{image}:latest")) } else { Name::from(image) }
}
