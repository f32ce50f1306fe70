/*
 * resource.h - what can be read off a resource's name.
 * Source:  learn.microsoft.com "Understand the structure of Azure resource IDs" (parts come in pairs, any case).
 */
#ifndef MODEL_RESOURCE_H
#define MODEL_RESOURCE_H

#include "base/slice.h"

/* Parts of an Azure resource id; each empty where absent. Borrowed from the id. */
struct azure_id {
	struct slice	subscription, group;
	struct slice	provider;	/* of the first "/providers/": what stands behind a later one extends that resource */
	struct slice	name;		/* of that provider's innermost resource; without one the group, else the subscription */
	struct slice	path;		/* "Microsoft.X/accounts/A/deployments/D", without extensions */
};
/* True: an id that begins with '/' and holds a subscription or a provider. */
bool	azure_id_parse(struct slice id, struct azure_id *ret);
/* The value after "/segment/" (any case; sooner where a key should stand), or empty: azure_id_part(id, "deployments"). */
struct slice azure_id_part(struct slice id, struct slice segment);
/* Lower-cased type of the first provider, "microsoft.cognitiveservices/accounts/projects", into out (n bytes); 0 if none or too long. */
size_t	azure_id_type(struct slice id, char *out, size_t n);

#endif
