/* memory.h - inside posture: what is remembered of the events, and the settings of the zones. */
#ifndef POSTURE_MEMORY_H
#define POSTURE_MEMORY_H

#include "base/buf.h"
#include "posture/posture.h"

#define MAX_ACCOUNTS	4096
#define MAX_WEAKNESSES	65536
#define ACCOUNT_BYTES	64

enum requirement {
#define REQUIREMENT(id, title, n1, n2, n3, t1, t2, t3)	R_##id,
#include "posture/requirements.tbl"
#undef REQUIREMENT
	R_COUNT
};

struct requirement_row {
	const char		*id, *title;
	enum posture_need	 need[ZONES];
	uint32_t		 term_hours[ZONES];
};
extern const struct requirement_row requirement_rows[R_COUNT];

extern const char *const provider_words[];
enum provider { P_AZURE, P_AWS, P_GCP, P_M365, P_COUNT };
enum plan { PLAN_CSPM, PLAN_AI, PLANS };
enum plan_state { PLAN_UNSEEN, PLAN_ON, PLAN_OFF };
enum topic { T_INVENTORY, T_RECOMMENDATION, T_ATTACK_PATH, T_ALERT, T_ANY, TOPICS };

struct account {
	char		name[ACCOUNT_BYTES];	/* lower case; of the provider */
	uint8_t		provider, zone;		/* the strictest zone seen in it */
	uint8_t		plan[PLANS];
	int64_t		plan_ms[PLANS];
	int64_t		newest_ms[TOPICS];	/* arrival of the newest record on it; 0: none */
};

struct weakness {
	uint64_t	key;			/* 0: free */
	int64_t		first_ms, due_ms, newest_ms;
	uint8_t		zone, urgent, is_path;	/* urgent: High or Critical */
};

struct zone_rule {
	char	*match;
	int	 zone;
};

/* From the gravest on, as `posture_severities` has them. */
enum { SEVERITIES = 5 };
extern const struct slice posture_severities[SEVERITIES];

struct posture {
	int			 default_zone;
	int64_t			 term_ms[SEVERITIES][ZONES];	/* how long a weakness may stay */
	struct zone_rule	*rules;
	size_t			 nrules;
	uint64_t		 rules_mark;	/* tells one set of rules from another */
	struct { uint64_t key; uint8_t zone; } cache[256];

	struct account		*accounts;	/* MAX_ACCOUNTS */
	uint32_t		 naccounts, last_account;
	uint32_t		*account_index;	/* 2 * MAX_ACCOUNTS, open addressing: slot + 1 */
	struct weakness		*weaknesses;	/* 2 * MAX_WEAKNESSES, open addressing */
	uint32_t		 nweaknesses;
	uint64_t		 not_remembered;
	int64_t			 full_ms;	/* when something last found no room; 0: never */
	unsigned char		 key[16];	/* of the weaknesses' keys, random, saved with them: strangers choose the ids */
	struct json_reader	*json;
	struct buf		 plan_text;
};

int	posture_zone_of(struct posture *, const struct event *);	/* zones.c */
int	posture_account_zone(struct posture *, const struct account *);
struct account *memory_account(struct posture *, const struct event *, bool make);
int	memory_open(struct posture *, struct err *);
void	memory_close(struct posture *);
void	memory_clear(struct posture *);
struct account *memory_add_account(struct posture *, enum provider, struct slice name);	/* or NULL: full */
struct weakness *memory_weakness(struct posture *, uint64_t key, bool make);	/* or NULL: none, or full */
void	memory_forget(struct posture *, struct weakness *);

#endif
