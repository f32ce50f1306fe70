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
	struct slice	provider;	/* of the last "/providers/" that is not an extension on it: see azure_id_parse */
	struct slice	name;		/* the innermost resource's own name */
	struct slice	path;		/* from the first provider on: "Microsoft.X/accounts/A/deployments/D" */
};
bool	azure_id_parse(struct slice id, struct azure_id *ret);
/* The value after "/segment/" (any case), or empty: azure_id_part(id, "deployments"). */
struct slice azure_id_part(struct slice id, struct slice segment);
/* Lower-cased type of the first provider, "microsoft.cognitiveservices/accounts/projects", into out (n bytes); 0 if none. */
size_t	azure_id_type(struct slice id, char *out, size_t n);

#endif
