#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of rendered manifests, for test-manifests.sh. Prints what is wrong, and exits with 1 then.

    manifests.py security FILE...       who may need what: Pod Security, capabilities, volumes, images, tokens
    manifests.py rbac FILE...           exactly the rules that the exporter needs
    manifests.py settings FILE...       probes, resources, updates, messages
    manifests.py references FILE...     every ConfigMap, Secret, account and selector that is named exists in the file
    manifests.py same FILE FILE         the same objects, but for the hashes that kustomize puts behind generated names
"""
import json
import re
import sys

import yaml

# Who needs the node: the capabilities that are added, and the folders and devices of the node.
NODE = {
    'warren-agent': ({'NET_ADMIN', 'NET_BIND_SERVICE', 'NET_RAW'}, {'/var/lib/warren', '/run/warren', '/run/wireguard'}),
    'warren-wireguard': ({'NET_ADMIN'}, {'/run/warren', '/run/wireguard', '/dev/net/tun'}),
    'warren-gateway': (set(), {'/run/warren'}),
}
CLUSTER_RULES = [
    ('', 'endpointslices', 'discovery.k8s.io', 'list watch'), ('', 'namespaces', '', 'list watch'),
    ('', 'nodes', '', 'list watch'), ('', 'servicecidrs', 'networking.k8s.io', 'list watch'),
    ('', 'services', '', 'list watch'), ('kube-system', 'namespaces', '', 'get'),
]
RULES = [
    ('', 'leases', 'coordination.k8s.io', 'create'), ('warren-exporter', 'leases', 'coordination.k8s.io', 'get list update watch'),
    ('warren-exporter', 'secrets', '', 'get patch'),
]
HELM_LABELS = {'helm.sh/chart', 'app.kubernetes.io/version'}
bad = []


def load(path):
    with open(path) as f:
        return [o for o in yaml.safe_load_all(f) if o]


def expect(condition, what):
    if not condition:
        bad.append(what)


def workloads(objects):
    for o in objects:
        if o['kind'] in ('DaemonSet', 'Deployment', 'StatefulSet'):
            pod = o['spec']['template']['spec']
            yield o, o['metadata']['name'], pod, pod['containers'] + pod.get('initContainers', [])


def restricted(name, pod, containers):
    """The standard's level restricted, v1.30."""
    volumes = {k for v in pod.get('volumes', []) for k in v if k != 'name'}
    expect(not pod.get('hostNetwork') and not pod.get('hostPID') and not pod.get('hostIPC'), f'{name}: of the node')
    expect(volumes <= {'configMap', 'secret', 'emptyDir', 'projected', 'downwardAPI', 'persistentVolumeClaim'},
           f'{name}: volumes {volumes}')
    expect(pod['securityContext'].get('runAsNonRoot') is True, f'{name}: runAsNonRoot')
    expect(pod['securityContext'].get('runAsUser', 0) > 0, f'{name}: runAsUser')
    for c in containers:
        expect(not c['securityContext']['capabilities'].get('add'), f'{name}: capabilities are added')
        expect('hostPort' not in json.dumps(c), f'{name}: hostPort')


def security(objects):
    for o, name, pod, containers in workloads(objects):
        expect(pod['securityContext']['seccompProfile'] == {'type': 'RuntimeDefault'}, f'{name}: seccompProfile')
        if name in NODE:
            capabilities, paths = NODE[name]
            expect(pod.get('hostNetwork') is True and not pod.get('hostPID') and not pod.get('hostIPC'), f'{name}: the node')
            found = {v['hostPath']['path'] for v in pod['volumes'] if 'hostPath' in v}
            expect(found == paths, f'{name}: hostPath {found}')
            for c in containers:
                found = set(c['securityContext']['capabilities'].get('add', []))
                expect(found == capabilities, f'{name}: capabilities {found}')
        else:
            restricted(name, pod, containers)
        account = pod.get('serviceAccountName')
        expect(account == ('warren-exporter' if name == 'warren-exporter' else None), f'{name}: account {account}')
        expect(account or pod.get('automountServiceAccountToken') is False, f'{name}: has a token of its account')
        for c in containers:
            context = c['securityContext']
            expect(not context.get('privileged'), f'{name}: privileged')
            expect(context.get('allowPrivilegeEscalation') is False, f'{name}: allowPrivilegeEscalation')
            expect(context.get('readOnlyRootFilesystem') is True, f'{name}: readOnlyRootFilesystem')
            expect(context['capabilities'].get('drop') == ['ALL'], f'{name}: drops not all capabilities')
            image = 'agent' if name == 'warren-gateway' else name.removeprefix('warren-')
            expect(c['image'] == f'warren/{image}:dev', f'{name}: image {c["image"]}')
    for o in objects:
        if o['kind'] == 'Namespace':
            level = o['metadata']['labels'].get('pod-security.kubernetes.io/enforce')
            expect(level == 'privileged', f'namespace: {level}')
        expect(o['kind'] != 'Secret' or 'generated' not in o.get('data', {}), 'a Secret with data')


def rules_of(o):
    return sorted((name, resource, group, ' '.join(sorted(rule['verbs'])))
                  for rule in o['rules'] for group in rule['apiGroups'] for resource in rule['resources']
                  for name in rule.get('resourceNames', ['']))


def rbac(objects):
    roles = {o['kind']: rules_of(o) for o in objects if o['kind'] in ('Role', 'ClusterRole')}
    expect(roles == {'Role': RULES, 'ClusterRole': CLUSTER_RULES}, f'rules: {json.dumps(roles, indent=1)}')
    bindings = [o for o in objects if o['kind'].endswith('Binding')]
    expect(len(bindings) == 2, f'{len(bindings)} bindings')
    for o in bindings:
        expect(o['subjects'] == [{'kind': 'ServiceAccount', 'name': 'warren-exporter', 'namespace': 'warren'}],
               f'{o["kind"]}: {o["subjects"]}')


def settings(objects):
    for o, name, pod, containers in workloads(objects):
        spec = o['spec']
        node = name in NODE
        expect((pod.get('priorityClassName') == 'system-node-critical') == node, f'{name}: priorityClassName')
        # A DaemonSet is on every node; a gateway that tolerates all would be put back on a node that is drained.
        expect(({'operator': 'Exists'} in pod.get('tolerations', [])) == (o['kind'] == 'DaemonSet'), f'{name}: tolerations')
        for c in containers:
            expect(c['terminationMessagePolicy'] == 'FallbackToLogsOnError', f'{name}: terminationMessagePolicy')
            expect(c['imagePullPolicy'] == 'IfNotPresent', f'{name}: imagePullPolicy')
            expect({'cpu', 'memory'} <= set(c['resources']['requests']), f'{name}: requests')
            expect('memory' in c['resources']['limits'] and 'cpu' not in c['resources']['limits'], f'{name}: limits')
            expect('readinessProbe' in c or name == 'warren-wireguard', f'{name}: readinessProbe')
            expect('livenessProbe' in c or name in ('warren-wireguard', 'warren-gateway'), f'{name}: livenessProbe')
        if name == 'warren-agent':
            expect(spec['updateStrategy'] == {'type': 'RollingUpdate', 'rollingUpdate': {'maxUnavailable': 1}}, name)
        if name == 'warren-wireguard':
            expect(spec['updateStrategy'] == {'type': 'OnDelete'}, f'{name}: updateStrategy')
        if name == 'warren-gateway':
            expect(spec['strategy']['rollingUpdate'] == {'maxSurge': 0, 'maxUnavailable': 1}, f'{name}: strategy')
            expect(pod['nodeSelector'] == {'gateway': 'true'}, f'{name}: nodeSelector')
        if name == 'warren-exporter':
            expect(spec['replicas'] == 2, f'{name}: replicas')
        for v in pod.get('volumes', []):
            # A token, or keys: for the one who runs, and its group where fsGroup makes it readable.
            mode = v.get('secret', {}).get('defaultMode')
            expect('secret' not in v or mode == (0o400 if node else 0o440), f'{name}: {v["name"]}: {mode}')
        budget = [b['spec'] for b in objects if b['kind'] == 'PodDisruptionBudget' and b['metadata']['name'] == name]
        # None where a drain would wait for ever: for the only replica, by minAvailable, or for one that is not Ready.
        expect(budget == ([{'maxUnavailable': 1, 'unhealthyPodEvictionPolicy': 'AlwaysAllow', 'selector': spec['selector']}]
                          if o['kind'] == 'Deployment' else []), f'{name}: disruption budget {budget}')
        quota = [q['spec']['scopeSelector']['matchExpressions'][0]['values'] for q in objects if q['kind'] == 'ResourceQuota']
        expect(name != 'warren-agent' or quota == [[pod['priorityClassName']]], f'{name}: quota for its priority: {quota}')


def references(objects):
    have = {(o['kind'], o['metadata']['name']) for o in objects}
    pods = [o['spec']['template']['metadata']['labels'] for o, *_ in workloads(objects)]
    outside = {('Secret', 'warren-broker')} | {('Secret', f'warren-{n}token') for n in ('', 'gateway-', 'exporter-')}
    for o, name, pod, containers in workloads(objects):
        wanted = set()
        for v in pod.get('volumes', []):
            if 'secret' in v:
                wanted.add(('Secret', v['secret']['secretName']))
            if 'configMap' in v:
                wanted.add(('ConfigMap', v['configMap']['name']))
        for c in containers:
            for e in c.get('env', []):
                key = e.get('valueFrom', {}).get('configMapKeyRef')
                if key:
                    wanted.add(('ConfigMap', key['name']))
                    data = [o['data'] for o in objects if o['kind'] == 'ConfigMap' and o['metadata']['name'] == key['name']]
                    expect(key.get('optional') or data and data[0].get(key['key']), f'{name}: {key}')
            volumes = {v['name'] for v in pod.get('volumes', []) + [t['metadata'] for t in
                                                                    o['spec'].get('volumeClaimTemplates', [])]}
            mounted = {m['name'] for m in c.get('volumeMounts', [])}
            expect(mounted == volumes, f'{name}: volumes {volumes}, mounted {mounted}')
        if pod.get('serviceAccountName'):
            wanted.add(('ServiceAccount', pod['serviceAccountName']))
        expect(wanted <= have | outside, f'{name}: not there: {wanted - have - outside}')
        selector, labels = o['spec']['selector']['matchLabels'], o['spec']['template']['metadata']['labels']
        expect(selector.items() <= labels.items(), f'{name}: selector {selector}')
    for o in objects:
        selector = {'Service': lambda: o['spec']['selector'],
                    'PodDisruptionBudget': lambda: o['spec']['selector']['matchLabels'],
                    'NetworkPolicy': lambda: o['spec']['podSelector']['matchLabels']}.get(o['kind'])
        if selector:
            expect(any(selector().items() <= p.items() for p in pods), f'{o["metadata"]["name"]}: selects nobody')
        expect(o['metadata'].get('namespace') == (None if o['kind'].startswith('Cluster') or o['kind'] == 'Namespace'
                                                  else 'warren'), f'{o["metadata"]["name"]}: namespace')


def plain(objects, hashed):
    """By kind and name, without hashes, without the labels that only a chart has, and without the Secrets that users make."""
    out = {}
    for o in objects:
        if o['kind'] == 'Secret' and o.get('data'):
            continue
        text = json.dumps(o, sort_keys=True)
        if hashed:
            text = re.sub(r'"(warren-(?:\w+-)?token)-[a-z0-9]{10}"', r'"\1"', text)
        o = json.loads(text)
        o['metadata']['labels'] = {k: v for k, v in o['metadata'].get('labels', {}).items() if k not in HELM_LABELS}
        out[o['kind'], o['metadata']['name']] = json.dumps(o, sort_keys=True, indent=1)
    return out


def same(a, b):
    expect(a.keys() == b.keys(), f'objects: {sorted(a.keys() ^ b.keys())}')
    for key in a.keys() & b.keys():
        if a[key] != b[key]:
            ours, theirs = a[key].splitlines(), b[key].splitlines()
            bad.append(f'{key}: {[x for x in ours if x not in theirs]} against {[x for x in theirs if x not in ours]}')


def main(what, *files):
    if what == 'same':
        same(plain(load(files[0]), True), plain(load(files[1]), False))
    else:
        for path in files:
            {'security': security, 'rbac': rbac, 'settings': settings, 'references': references}[what](load(path))
    for line in bad:
        print(line)
    sys.exit(bool(bad))


main(*sys.argv[1:])
