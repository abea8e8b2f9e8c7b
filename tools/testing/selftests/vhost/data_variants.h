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
FIXTURE_VARIANT_ADD(fixture, macvtap_v1_mrg_event_indirect) {		\
	.features = F_V1 | F_MRG | F_EVENT | F_INDIRECT,		\
	.kind = BE_MACVTAP,						\
}

#endif /* DATA_VARIANTS_H */
