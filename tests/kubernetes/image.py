#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""image.py OUT.tar NAME:TAG ENTRYPOINT ITEM... - writes a container image with one layer, made of this machine's files.

ITEM is FILE=/PATH (the shared libraries that FILE needs come too), /PATH->TARGET (a symbolic link) or /PATH/ (a folder).
The same files give the same bytes. For the programs of the tests; the images of Warren are built from their Dockerfiles.
"""
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile


def libraries(path):
    out = subprocess.run(['ldd', path], capture_output=True, text=True).stdout
    return re.findall(r'(/\S+) \(0x', out)


class Layer:
    def __init__(self):
        self.data, self.seen = io.BytesIO(), set()
        self.tar = tarfile.open(fileobj=self.data, mode='w')

    def add(self, path, kind, body=b'', target=''):
        path = path.strip('/')
        if not path or path in self.seen:
            return
        self.add(os.path.dirname(path), tarfile.DIRTYPE)
        self.seen.add(path)
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname, info.size = kind, 0o755, target, len(body)
        self.tar.addfile(info, io.BytesIO(body))

    def file(self, source, path):
        with open(source, 'rb') as f:
            self.add(path, tarfile.REGTYPE, f.read())


def main(out, name, entrypoint, *items):
    layer = Layer()
    for item in items:
        if '->' in item:
            path, target = item.split('->')
            layer.add(path, tarfile.SYMTYPE, target=target)
        elif item.endswith('/'):
            layer.add(item, tarfile.DIRTYPE)
        else:
            source, path = item.split('=')
            layer.file(source, path)
            for lib in libraries(source):
                layer.file(lib, lib)
    layer.tar.close()
    blob = layer.data.getvalue()
    layer_id = hashlib.sha256(blob).hexdigest()
    config = json.dumps({
        'architecture': {'aarch64': 'arm64'}.get(os.uname().machine, 'amd64'), 'os': 'linux',
        'config': {'Entrypoint': entrypoint.split(), 'Env': ['PATH=/bin'], 'WorkingDir': '/'},
        'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + layer_id]}}).encode()
    config_name = hashlib.sha256(config).hexdigest() + '.json'
    manifest = json.dumps([{'Config': config_name, 'RepoTags': [name], 'Layers': [layer_id + '.tar']}]).encode()
    with tarfile.open(out, 'w') as image:
        for path, body in (config_name, config), (layer_id + '.tar', blob), ('manifest.json', manifest):
            info = tarfile.TarInfo(path)
            info.size = len(body)
            image.addfile(info, io.BytesIO(body))


main(*sys.argv[1:])
