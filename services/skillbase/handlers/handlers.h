/* handlers: one function an RPC (in the file of the same name), and the checks of those whose rules
 * the .proto cannot say. */
#ifndef DIALPLANE_SKILLBASE_HANDLERS_H
#define DIALPLANE_SKILLBASE_HANDLERS_H

struct rpc_call;
struct violations;

void list_companies(struct rpc_call *call, const void *request);
void create_company(struct rpc_call *call, const void *request);
void get_company(struct rpc_call *call, const void *request);
void update_company(struct rpc_call *call, const void *request);
void delete_company(struct rpc_call *call, const void *request);

void check_list_companies(const void *request, struct violations *violations);

void list_skillbases(struct rpc_call *call, const void *request);
void create_skillbase(struct rpc_call *call, const void *request);
void get_skillbase(struct rpc_call *call, const void *request);
void update_skillbase(struct rpc_call *call, const void *request);
void delete_skillbase(struct rpc_call *call, const void *request);
void list_skillbase_versions(struct rpc_call *call, const void *request);
void get_skillbase_version(struct rpc_call *call, const void *request);
void rollback_skillbase(struct rpc_call *call, const void *request);
void validate_skillbase_config(struct rpc_call *call, const void *request);
void get_skillbase_for_call(struct rpc_call *call, const void *request);

void check_list_skillbases(const void *request, struct violations *violations);
void check_create_skillbase(const void *request, struct violations *violations);
void check_update_skillbase(const void *request, struct violations *violations);
void check_list_skillbase_versions(const void *request, struct violations *violations);
void check_validate_skillbase_config(const void *request, struct violations *violations);

void list_api_keys(struct rpc_call *call, const void *request);
void create_api_key(struct rpc_call *call, const void *request);
void get_api_key(struct rpc_call *call, const void *request);
void delete_api_key(struct rpc_call *call, const void *request);
void check_list_api_keys(const void *request, struct violations *violations);
void check_create_api_key(const void *request, struct violations *violations);

void list_audit_entries(struct rpc_call *call, const void *request);
void export_audit_entries(struct rpc_call *call, const void *request);
void export_audit_entry_lines(struct rpc_call *call, const void *request);

void check_list_audit_entries(const void *request, struct violations *violations);

#endif
