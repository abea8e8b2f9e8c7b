/* SPDX-License-Identifier: GPL-2.0-only */
/* The combinations of features and backend that data path tests run over. */
#ifndef DATA_VARIANTS_H
#define DATA_VARIANTS_H

#define DATA_VARIANTS(fixture)						\
FIXTURE_VARIANT(fixture) {						\
	uint64_t features;						\
	enum backend kind;						\
};									\
FIXTURE_VARIANT_ADD(fixture, legacy) { .features = 0 };			\
FIXTURE_VARIANT_ADD(fixture, legacy_mrg_event_indirect) {		\
	.features = F_MRG | F_EVENT | F_INDIRECT,			\
};									\
FIXTURE_VARIANT_ADD(fixture, v1) { .features = F_V1 };			\
FIXTURE_VARIANT_ADD(fixture, v1_event) { .features = F_V1 | F_EVENT };	\
FIXTURE_VARIANT_ADD(fixture, v1_mrg) { .features = F_V1 | F_MRG };	\
FIXTURE_VARIANT_ADD(fixture, v1_mrg_event_indirect) {			\
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,		\
};									\
FIXTURE_VARIANT_ADD(fixture, packed) {					\
	.features = F_V1 | F_PACKED,					\
};									\
FIXTURE_VARIANT_ADD(fixture, packed_mrg_event_indirect) {		\
	.features = F_V1 | F_PACKED | F_MRG | F_EVENT | F_INDIRECT,	\
};									\
FIXTURE_VARIANT_ADD(fixture, packed_in_order_mrg_event) {		\
	.features = F_V1 | F_PACKED | F_IN_ORDER | F_MRG | F_EVENT,	\
};									\
FIXTURE_VARIANT_ADD(fixture, packet_nohdr_packed_event) {		\
	.features = F_V1 | F_PACKED | F_EVENT | F_VNET_HDR,		\
	.kind = BE_PACKET,						\
};									\
FIXTURE_VARIANT_ADD(fixture, macvtap_v1_mrg_event_indirect) {		\
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,		\
	.kind = BE_MACVTAP,						\
};									\
FIXTURE_VARIANT_ADD(fixture, nohdr_v1_mrg_event_indirect) {		\
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT | F_VNET_HDR,	\
};									\
FIXTURE_VARIANT_ADD(fixture, macvtap_nohdr_v1_mrg_event_indirect) {	\
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT | F_VNET_HDR,	\
	.kind = BE_MACVTAP,						\
};									\
FIXTURE_VARIANT_ADD(fixture, packet_legacy) { .kind = BE_PACKET };	\
FIXTURE_VARIANT_ADD(fixture, packet_event_indirect) {			\
	.features = F_EVENT | F_INDIRECT, .kind = BE_PACKET,		\
};									\
FIXTURE_VARIANT_ADD(fixture, packet_nohdr_v1_mrg_event_indirect) {	\
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT | F_VNET_HDR,	\
	.kind = BE_PACKET,						\
}

/* Bytes of the header that the backend puts before frames. */
static inline unsigned int backend_hdr(uint64_t features)
{
	if (features & F_VNET_HDR)
		return 0;
	return features & (F_MRG | F_V1) ? 12 : 10;
}

#endif /* DATA_VARIANTS_H */
