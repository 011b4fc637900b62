//! The messages and services of `dossier.v1`, generated from `proto/`.
#![expect(clippy::pedantic, clippy::allow_attributes, reason = "generated code")]

/// Package `dossier.v1`.
pub mod v1 {
    tonic::include_proto!("dossier.v1");

    /// The encoded `FileDescriptorSet` of the package, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("dossier.v1");
}
